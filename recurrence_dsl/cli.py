"""The command line: `recurrence`, also `python -m recurrence_dsl`. Each command imports what it needs when it runs."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .tools.messages import fail, plain_errors, print_findings, print_markdown
from .tools.settings import parse_settings


class PlainErrors(TyperGroup):
    """Ends every command that meets a user's mistake with its message and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        with plain_errors():
            return super().invoke(ctx)


app = typer.Typer(
    cls=PlainErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A compiler from the equation of a gated linear recurrence to a fast torch module.",
)


class Stage(StrEnum):
    """What `explain --stage` prints."""

    PARSE = "parse"
    CHECK = "check"
    LIFT = "lift"
    DERIVE = "derive"
    SCHEDULE = "schedule"
    EMIT = "emit"
    INTERPRETER = "interpreter"


class Backend(StrEnum):
    """What the compiler writes."""

    AUTO = "auto"
    TORCH = "torch"
    TRITON = "triton"


File = Annotated[str, typer.Argument(metavar="FILE", help="A .spec file, or a shipped spec's name.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="The size of an axis or a const's value. Repeatable.")
]
Heads = Annotated[int, typer.Option(min=1, help="Number of heads.")]
Groups = Annotated[int, typer.Option(min=1, help="Number of groups, where a spec has `per group` inputs.")]

_CODE = re.compile(r"R\d{4}", re.IGNORECASE)


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="FILE|CODE", help="A spec, or the code of a message such as R0201.")],
    stage: Annotated[Stage | None, typer.Option(help="Print what this stage made of the spec instead.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations as LaTeX.")] = False,
    settings: Settings = [],  # noqa: B006 - typer copies it
    heads: Heads = 4,
    backend: Annotated[Backend, typer.Option(help="Whose plan and source `--stage` prints.")] = Backend.TORCH,
) -> None:
    """Say what the compiler found in a spec and chose for it, or what a message's code means."""
    if _CODE.fullmatch(what):
        from .codes import explanation

        print_markdown(explanation(what.upper()))
        return
    from .pipeline import load
    from .tools.explain import explain_latex, explain_spec, explain_stage

    spec, sizes = load(what), parse_settings(settings)
    if stage is not None:
        print(explain_stage(spec, stage.value, heads, sizes, backend.value))
    elif latex:
        print(explain_latex(spec, sizes))
    else:
        print(explain_spec(spec, heads, sizes))


@app.command("list")
def list_specs() -> None:
    """List the shipped specs with their class and what they are."""
    from .tools.catalogue import print_catalogue

    print_catalogue()


@app.command("compile")
def compile_spec(
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write into; made if missing.")],
    backend: Annotated[Backend, typer.Option(help="What to write.")] = Backend.AUTO,
    settings: Settings = [],  # noqa: B006 - typer copies it
    heads: Heads = 4,
    groups: Groups = 1,
) -> None:
    """Write a spec's compiled form as a standalone source file."""
    from .pipeline import load
    from .tools.standalone import write_standalone

    spec = load(file)
    if out.exists() and not out.is_dir():
        raise fail(f"error: {out} exists and is not a folder")
    print_findings(spec.warnings)
    print(write_standalone(spec, out, backend.value, heads, groups, parse_settings(settings)))


@app.command()
def check(
    file: File,
    backend: Annotated[Backend, typer.Option(help="What to attack.")] = Backend.TORCH,
    dtype: Annotated[
        list[str], typer.Option(help="float64, float32, bfloat16 or float16; all of them by default.")
    ] = [],  # noqa: B006
    examples: Annotated[int, typer.Option(min=1, help="Cases for each property.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the cases; the same seed gives the same ones.")] = 0,
    deep: Annotated[bool, typer.Option("--deep", help="Go on for ten minutes.")] = False,
    properties: Annotated[list[str], typer.Option("--property", help="Only this one. Repeatable.")] = [],  # noqa: B006
    case: Annotated[
        str, typer.Option(metavar="JSON", help="Run this one case only, as a failed check prints it.")
    ] = "",
    json: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the whole report there.")] = None,
) -> None:
    """Attack a spec's compiled mixer: its forms against the interpreter, values and gradients, and more."""
    from .pipeline import load
    from .tools.check import attack_from, run_case, run_check

    spec = load(file)
    print_findings(spec.warnings)
    if case:
        held = run_case(spec, properties, case)
    else:
        held = run_check(spec, file, attack_from(backend.value, dtype, examples, seed, deep, properties), json)
    raise typer.Exit(0 if held else 1)


@app.command()
def tune(
    file: File,
    settings: Settings = [],  # noqa: B006 - typer copies it
    heads: Heads = 16,
    groups: Groups = 1,
    dtype: Annotated[str, typer.Option(help="Of the inputs: bfloat16, float16 or float32.")] = "bfloat16",
    batch: Annotated[int, typer.Option(min=1, help="Sequences.")] = 8,
    length: Annotated[int, typer.Option(min=1, help="Tokens in a sequence.")] = 4096,
    json: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the results there, to be shipped.")] = None,
) -> None:
    """Measure a spec's kernels on this machine's GPU, forward and backward, and keep the fastest that are right."""
    from .pipeline import load
    from .tools.tune import tune_spec

    print(tune_spec(load(file), parse_settings(settings), heads, groups, dtype, batch, length, json))


@app.command()
def resources(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help=".spec files, or shipped specs' names.")],
    target: Annotated[list[str], typer.Option(help="sm_80, sm_90 or gfx942; all of them by default. Repeatable.")] = [],  # noqa: B006
    size: Annotated[
        list[int], typer.Option(min=1, help="Of the axes that have none; 64 and 128 by default. Repeatable.")
    ] = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006 - typer copies it
    dtype: Annotated[str, typer.Option(help="Of the inputs: bfloat16, float16 or float32.")] = "bfloat16",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    known: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON: kernels that are known to spill, and by how many bytes.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON: what kernels needed before; only changed ones are compiled. Updated."),
    ] = None,
    again: Annotated[int, typer.Option(min=0, help="Recorded kernels that are compiled all the same.")] = 0,
    unmeasured: Annotated[
        bool, typer.Option("--unmeasured", help="Only kernels of the plans that are taken without a measurement.")
    ] = False,
) -> None:
    """Compile specs' kernels for GPUs that need not be here: registers, spills, shared memory, tensor cores."""
    from .tools.resource_report import run_resources

    sizes = parse_settings(settings)
    held = run_resources(files, target, size, sizes, dtype, jobs, json, known, record, again, unmeasured)
    raise typer.Exit(0 if held else 1)


class TrainTask(StrEnum):
    """What `train` trains on."""

    TEXT = "text"
    RECALL = "recall"


@app.command()
def train(
    spec: Annotated[str, typer.Option(metavar="FILE", help="A .spec file with a layer block, or a shipped name.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the figures and the picture.")] = Path(
        "out/train"
    ),
    task: Annotated[
        TrainTask, typer.Option(help="The next byte of Python's standard library, or multi-query associative recall.")
    ] = TrainTask.TEXT,
    settings: Settings = [],  # noqa: B006 - typer copies it
    d_model: Annotated[int, typer.Option(min=1, help="Width of the model.")] = 128,
    layers: Annotated[int, typer.Option(min=1, help="Number of layers.")] = 3,
    heads: Heads = 4,
    groups: Groups = 1,
    length: Annotated[int | None, typer.Option(min=2, help="Tokens in a row: 256, or 64 for recall.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Rows in a step: 8, or 32 for recall.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most.")] = 500,
    minutes: Annotated[
        float, typer.Option(min=0, help="Minutes until the last step at most; a slow machine makes fewer steps.")
    ] = 2.25,
    rate: Annotated[float, typer.Option(min=0, help="The highest learning rate.")] = 4e-3,
    pairs: Annotated[int, typer.Option(min=1, help="Recall: key-value pairs in a row.")] = 4,
    vocab: Annotated[int, typer.Option(min=4, help="Recall: number of different tokens.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the weights and the data's order.")] = 0,
) -> None:
    """Train a small model of a spec's layers; show what it generates, how fast it is, and its loss curve."""
    from .tools.train import Task, TrainOptions
    from .tools.train import train as run

    sizes = parse_settings(settings)
    shape = {"d_model": d_model, "layers": layers, "heads": heads, "groups": groups, "length": length, "batch": batch}
    course = {"steps": steps, "minutes": minutes, "rate": rate, "pairs": pairs, "vocab": vocab, "seed": seed}
    run(TrainOptions(spec=spec, out=out, task=Task(task.value), settings=sizes, **shape, **course))  # type: ignore[arg-type]


@app.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(metavar="DIR", help="A checkpoint: safetensors with their config.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write into; made if missing.")],
    to: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Write this published format, from a checkpoint of ours.")
    ] = None,
) -> None:
    """Turn a published checkpoint into a model of a spec's layers, or such a model into a published format."""
    from .weights import convert as run

    print(run(checkpoint, out, to))


def main() -> None:
    """The console script's entry."""
    app(prog_name="recurrence")
