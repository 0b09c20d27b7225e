"""What all our pages on the web have in common: the socket, the headers, the templates."""
