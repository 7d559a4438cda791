"""A stateless environment over any system, and the action and observation maps it is given."""
