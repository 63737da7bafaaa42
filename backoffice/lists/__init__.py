"""What every list has in common: looked at freely, edited nowhere."""
