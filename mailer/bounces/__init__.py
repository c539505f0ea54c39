"""Bounces: what became of a mail after it was sent, as others tell.

    reading   bytes → a class, a reason, and whose mail it may have been
    reasons   a mail server's words and codes → a reason
    phrases   the words
"""
