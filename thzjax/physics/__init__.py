"""Pure functions of the physics: trailing axes are the physics, leading axes a batch that broadcasts."""
