"""The web: pages, forms and their answers. Never imports `worker`; they meet in the database."""
