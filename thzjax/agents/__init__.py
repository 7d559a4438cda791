"""Learners and the parts they share: networks, policies, advantages, primal-dual constraint handling."""
