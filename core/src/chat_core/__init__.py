"""Hold a contact-centre chat from Python."""
