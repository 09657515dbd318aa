"""The numbered steps of the schema, one SQL file a dialect."""
