"""What staff may do: forms with a reason, pages, and what was done."""
