"""What is simulated: parameters, channels, designs, outcomes, projections, and the presets."""
