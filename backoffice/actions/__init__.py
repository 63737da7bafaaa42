"""The actions of staff: their forms, their pages, and the acts that record what staff did and why."""
