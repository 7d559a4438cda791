"""`thzjax completion`: scripts made from the commands' own signatures, so that they know every option there is."""

import inspect
import shlex
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import tyro

from thzjax.commands.help import summary
from thzjax.commands.shared import OK

Shell = Literal["bash", "zsh", "fish"]
SCENARIOS = ("compare", "show")
"""Commands whose --set changes a scenario, and no learner."""


class Option(NamedTuple):
    """An option of a command, or its positional arguments where there are no flags.

    Attributes:
      flags: "--name", of a switch also "--no-name".
      words: what may stand behind it; nothing where files do.
      value: whether something stands behind it.
      many: whether several may.
    """

    flags: tuple[str, ...]
    words: tuple[str, ...]
    value: bool = True
    many: bool = False


def completion(shell: Annotated[Shell, tyro.conf.Positional], /) -> int:
    """Print a script by which a shell completes commands, options, presets, learners, designs and names of options.

    The script is text and calls nothing: print it anew with a new version. Run folders are completed as files are.

    Examples:
      thzjax completion bash > ~/.local/share/bash-completion/completions/thzjax
      thzjax completion zsh > ~/.zfunc/_thzjax
      thzjax completion fish > ~/.config/fish/completions/thzjax.fish

    Args:
      shell: bash, zsh (the folder belongs into fpath, before compinit) or fish.
    """
    from thzjax.commands import COMMANDS

    known = words()
    scenario = dict.fromkeys(("overrides", "sweep"), known["scenario"])
    options = {
        name: options_of(command, known | scenario if name in SCENARIOS else known)
        for name, command in COMMANDS.items()
    }
    render = {"bash": bash, "zsh": zsh, "fish": lambda o: fish(o, {n: summary(c) for n, c in COMMANDS.items()})}
    print(render[shell](options), end="")
    return OK


def words() -> dict[str, tuple[str, ...]]:
    """What may be said where, by the name of the commands' argument."""
    from thzjax.agents.registry import AGENTS
    from thzjax.beamforming.designs import DESIGNS
    from thzjax.commands.bench import BENCHMARKS
    from thzjax.experiment.config import CONFIGURATION_NAMES, HANDLERS
    from thzjax.figures.catalogue import FIGURES, SETS
    from thzjax.systems.scenario import PRESETS

    designs = dict.fromkeys([*(method for method, _ in DESIGNS), *("/".join(pair) for pair in DESIGNS)])
    return {
        "preset": tuple(PRESETS),
        "agent": tuple(AGENTS),
        "configuration": CONFIGURATION_NAMES,
        "policy": tuple(dict.fromkeys(name for kind in AGENTS.values() for name in kind.policies)),
        "handler": HANDLERS,
        "method": tuple(designs),
        "methods": tuple(designs),
        "figures": (*SETS, *FIGURES),
        "names": BENCHMARKS,
        "checkpoint": ("last", "best"),
        "overrides": option_names(),
        "sweep": option_names(),
        "scenario": option_names("scenario."),
    }


def option_names(begin: str = "") -> tuple[str, ...]:
    """What --set changes, of every learner and both systems, as NAME=: dotted where the name itself is not enough.

    Only those whose dotted names begin so, which is left out.
    """
    from thzjax.agents.registry import AGENTS
    from thzjax.experiment.config import resolve
    from thzjax.experiment.overrides import flatten, to_json

    names: set[str] = set()
    for preset in ("paper-a", "paper-b"):
        for agent in AGENTS:
            flat = flatten(to_json(resolve(preset, agent)))
            dotted = [name.removeprefix(begin) for name in flat if name.startswith(begin)]
            often = Counter(name.rpartition(".")[2] for name in dotted)
            names |= {name if often[own] > 1 else own for name in dotted for own in [name.rpartition(".")[2]]}
    return tuple(f"{name}=" for name in sorted(names))


def options_of(command: Callable[..., Any], known: Mapping[str, Sequence[str]]) -> list[Option]:
    """The options of a command as its signature has them; its positional arguments come first, as one."""
    places: list[str] = []
    options = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind, *notes = typing.get_args(parameter.annotation) if _noted(parameter) else (parameter.annotation,)
        said = typing.get_args(kind) if typing.get_origin(kind) is Literal else known.get(name, ())
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            places += said
            continue
        flag = "--" + (next((note.name for note in notes if getattr(note, "name", None)), None) or name)
        flag = flag.replace("_", "-")
        if kind is bool:
            options.append(Option((flag, f"--no-{flag[2:]}"), (), value=False))
        else:
            options.append(Option((flag,), tuple(said), many=typing.get_origin(kind) is tuple))
    return [Option((), tuple(places), many=True), *options, Option(("--help",), (), value=False)]


def _noted(parameter: inspect.Parameter) -> bool:
    return typing.get_origin(parameter.annotation) is Annotated


def _flags(options: Iterable[Option]) -> str:
    return " ".join(flag for option in options for flag in option.flags)


BASH = """\
_thzjax() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}} at=$COMP_CWORD i option= far= choices=
  COMPREPLY=()
  # bash makes words of their own of the = in --agent=ppo and power_w=1.
  if [[ $cur == "=" ]]; then cur=; elif [[ ${{COMP_WORDS[at-1]}} == "=" ]]; then at=$((at - 1)); fi
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W "{commands} --help --version" -- "$cur"))
    return
  fi
  for (( i = at - 1; i > 1; i-- )); do
    if [[ ${{COMP_WORDS[i]}} == --* ]]; then option=${{COMP_WORDS[i]}}; break; fi
    far=" later"
  done
  if [[ $cur == -* ]]; then option=flags far=; fi
  case "$command $option$far" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$choices" -- "$cur"))
  # The value comes right behind the =.
  if [[ "${{COMPREPLY[*]}}" == *= ]]; then compopt -o nospace 2>/dev/null; fi
}}
complete -o default -F _thzjax thzjax
"""


def bash(options: Mapping[str, Sequence[Option]]) -> str:
    """A script for bash; where it has no words, bash completes files."""
    cases = []
    for name, (places, *named) in options.items():
        cases.append(f'    "{name} flags") choices="{_flags(named)}" ;;')
        for option in named:
            if option.value:
                later = "*" if option.many else ""  # also behind the first of several values
                cases += [f'    "{name} {flag}"{later}) choices="{" ".join(option.words)}" ;;' for flag in option.flags]
        cases.append(f'    "{name} "*) choices="{" ".join(places.words)}" ;;')
    return "# bash completion of thzjax\n" + BASH.format(commands=" ".join(options), cases="\n".join(cases))


def zsh(options: Mapping[str, Sequence[Option]]) -> str:
    """The same for zsh, whose bashcompinit runs it."""
    return "#compdef thzjax\nautoload -U +X bashcompinit && bashcompinit\n" + bash(options)


def fish(options: Mapping[str, Sequence[Option]], about: Mapping[str, str]) -> str:
    """A script for fish."""
    lines = ["# fish completion of thzjax"]
    for name, (places, *named) in options.items():
        lines.append(f"complete -c thzjax -n __fish_use_subcommand -f -a {name} -d {shlex.quote(about[name])}")
        here = f"complete -c thzjax -n '__fish_seen_subcommand_from {name}'"
        lines += [f"{here} -a {shlex.quote(' '.join(places.words))}"] if places.words else []
        for option in named:
            takes = f" -x -a {shlex.quote(' '.join(option.words))}" if option.words else " -r" if option.value else ""
            lines += [f"{here} -l {flag[2:]}{takes}" for flag in option.flags]
    return "\n".join(lines) + "\n"
