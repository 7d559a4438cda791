"""PPO steps/s, seconds of PPO to a rate, and off-policy updates/s: thzjax beside stable-baselines3 or sbx."""

import argparse

import torch

from benchmarks.peers import baselines, flops, own, to_rate
from benchmarks.peers.record import emit, ratios, speed
from benchmarks.peers.sizes import (
    ACTIONS,
    BATCH,
    ENVS,
    EPOCHS,
    FEATURES,
    HIDDEN,
    HORIZONS,
    MANY,
    MEASURES,
    OFF_POLICY,
    STEPS,
)  # fmt: skip
from benchmarks.peers.vec_env import ENVIRONMENTS

AT_ONCE = 32
"""Updates that a peer is asked for at a time where they are timed by themselves."""


def run(peer: str, given: argparse.Namespace, peaks: dict[str, float]) -> None:
    """Every size."""
    torch.set_num_threads(given.cores)
    for horizon in HORIZONS[:1] if given.quick else HORIZONS:
        compare_ppo(peer, horizon, given, peaks)
    to_rate.compare(peer, given)
    for hidden, batch in OFF_POLICY[:1] if given.quick else OFF_POLICY:
        for agent in ("ddpg", "sac"):
            compare_updates(peer, agent, hidden, batch, given, peaks)


def compare_ppo(peer: str, horizon: int, given: argparse.Namespace, peaks: dict[str, float]) -> None:
    """Whole training: rollouts and epochs."""
    work = flops.ppo_step(FEATURES, ACTIONS, HIDDEN, EPOCHS)
    common = {
        "what": "ppo", "horizon": horizon, "network": HIDDEN, "batch": BATCH, "epochs": EPOCHS, "flops_per_step": work,
    }  # fmt: skip

    def line(who: str, num_envs: int, rollout: int, speeds: dict, extra: dict) -> dict:
        share = work * speeds["steps_per_s"] / 1e9 / peaks["matmul_gflops"]
        sizes = {"environments": num_envs, "steps_per_update": num_envs * rollout}
        emit(peer, who, common | sizes | speeds | {"share_of_matmul_peak": share} | extra | peaks)
        return speeds

    ours = {}
    # Without a horizon an update has one step of many more environments: the library's own defaults.
    many = (MANY, STEPS * ENVS // MANY) if horizon > 1 else (2048, 1)
    for num_envs, rollout in ((ENVS, STEPS), many):
        train, compile_s = own.ppo(num_envs, rollout, horizon)
        speeds = speed("steps", num_envs * rollout, train, given.repeats)
        ours[num_envs] = line("thzjax", num_envs, rollout, speeds, {"compile_s": compile_s})
    for name, environment in ENVIRONMENTS.items():
        train = baselines.ppo(peer, environment(ENVS, horizon))
        speeds = speed("steps", ENVS * STEPS, train, given.repeats)
        extra = ratios("steps", ours[ENVS], speeds) | ratios("steps", ours[many[0]], speeds, "ratio_many")
        line(f"{peer} on {name}", ENVS, STEPS, speeds, extra)


def compare_updates(
    peer: str, agent: str, hidden: tuple[int, ...], batch: int, given: argparse.Namespace, peaks: dict[str, float]
) -> None:
    """Training with as many updates as steps, and updates by themselves.

    By themselves the peers' are bare; thzjax's have a step of 8 environments for every 256, as its program has no
    update without one.
    """
    critics, heads = (1, 1) if agent == "ddpg" else (2, 2)
    updates = 256 if max(hidden) < 256 else 128

    def line(who: str, mode: str, num_envs: int, measures: int, speeds: dict, extra: dict) -> dict:
        work = flops.actor_critic_update(FEATURES, ACTIONS, hidden, batch, critics, heads, measures)
        share = work * speeds["updates_per_s"] / 1e9 / peaks["matmul_gflops"]
        record = {
            "what": agent, "mode": mode, "network": hidden, "batch": batch, "environments": num_envs,
            "flops_per_update": work,
        }  # fmt: skip
        emit(peer, who, record | speeds | {"share_of_matmul_peak": share} | extra | peaks)
        return speeds

    horizon, ours = HORIZONS[0], {}
    layouts = {
        ("training", ENVS): (ENVS, updates // ENVS),
        ("training", MANY): (MANY, max(updates // MANY, 1)),
        ("updates", ENVS): (256, max(updates // 256, 1)),
    }
    for (mode, num_envs), (gradient_steps, chunk) in layouts.items():
        train, compile_s = own.off_policy(agent, hidden, batch, num_envs, gradient_steps, horizon, chunk)
        speeds = speed("updates", gradient_steps * chunk, train, given.repeats)
        ours[mode, num_envs] = line("thzjax", mode, num_envs, MEASURES, speeds, {"compile_s": compile_s})
    for name, environment in ENVIRONMENTS.items():
        train, update = baselines.off_policy(peer, agent, environment(ENVS, horizon), hidden, batch, AT_ONCE)
        speeds = speed("updates", updates, lambda train=train: train(updates), given.repeats)
        extra = ratios("updates", ours["training", ENVS], speeds)
        extra |= ratios("updates", ours["training", MANY], speeds, "ratio_many")
        line(f"{peer} on {name}", "training", ENVS, 1, speeds, extra)
    speeds = speed("updates", updates, lambda: update(updates), given.repeats)
    line(peer, "updates", 0, 1, speeds, ratios("updates", ours["updates", ENVS], speeds))
