"""What staff may do: actions with forms and reasons, their pages, and the acts that record them."""
