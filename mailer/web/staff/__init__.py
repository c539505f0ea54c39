"""The staff's pages about themselves: coming in, accounts, home, who did what."""
