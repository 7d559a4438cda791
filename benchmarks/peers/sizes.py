"""What is compared: one set of sizes for thzjax and its peers."""

FEATURES, ACTIONS, MEASURES = 72, 15, 3
"""Numbers of an observation and of an action of `paper-a`, and what thzjax's critics predict: rate and two slacks."""

HIDDEN, BATCH, EPOCHS = (64, 64), 512, 4
"""PPO: SB3's default network, and the batch and epochs of the number to beat."""

ENVS, MANY = 8, 256
"""Environments of the peers, and those that thzjax is at home with."""

HORIZONS = (50, 1)
"""Steps on one drop: an episode of paper A, or a fresh drop for every step as thzjax trains by default."""

STEPS = 1600
"""Steps of each environment per PPO update: whole episodes and whole batches, 25 of them at 8 environments."""

OFF_POLICY = (((64, 64), 64), ((256, 256), 256))
"""Networks and batches: paper B's, and those of the number to beat."""

FILL = 8192
"""Transitions in a replay before anything is timed."""

CAPACITY, GAMMA = 100_000, 0.99
