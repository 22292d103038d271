"""What measures, writes and checks the project; nothing of it is deployed."""
