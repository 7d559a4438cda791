"""What each command of the command line does. Nothing heavy is imported until one needs it: --help is instant."""

from thzjax.commands.bench import bench
from thzjax.commands.channels import channels
from thzjax.commands.completion import completion
from thzjax.commands.explore import explore
from thzjax.commands.info import info
from thzjax.commands.judge import compare, evaluate, report
from thzjax.commands.policy import policy
from thzjax.commands.reproduce import reproduce
from thzjax.commands.show import show
from thzjax.commands.train import train
from thzjax.commands.watch import watch

COMMANDS = {
    "train": train, "watch": watch, "evaluate": evaluate, "compare": compare, "report": report, "policy": policy,
    "channels": channels, "reproduce": reproduce, "show": show, "explore": explore, "bench": bench, "info": info,
    "completion": completion,
}  # fmt: skip
