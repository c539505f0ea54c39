"""What the service is made of, at the staff's desk: newsletters, notices and feeds."""
