"""What an attacker would try, each with the refusal that it meets."""
