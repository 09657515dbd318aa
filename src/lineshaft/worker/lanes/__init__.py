"""Lanes: where jobs run. A lane never touches the store; it delivers an outcome."""
