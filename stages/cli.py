"""The console script `weakhoi`: one sub-command per stage, imported only when it is called."""

from __future__ import annotations

import importlib

import click
from click.shell_completion import CompletionItem

from pipeline.core.errors import did_you_mean

# Groups of the help, their commands, and the line that stands beside each; a command's module is named after it.
_GROUPS = {
    "Use": {
        "predict": "Find interactions in your own images: JSON and drawn pictures.",
        "evaluate-detections": "Score detections of any method by the official protocol of HICO-DET or V-COCO.",
        "download": "Fetch published weights or a dataset, and check what is there.",
        "plan": "Print what a run will need before anything is there: memory, disk, speed.",
        "summary": "Print the result tables of a dataset, and where the pictures are.",
    },
    "Pipeline": {
        "prepare": "Write split manifests, vocabulary and ground truth of a dataset.",
        "detect": "Write the proposals of one split (HDF5).",
        "label-captions": "Label training images by their captions, beside the annotated labels (HDF5).",
        "label": "Label training images by CLIP, without any annotation (HDF5).",
        "label-pairs": "Label proposed training pairs from annotated boxes, for training with boxes (HDF5).",
        "encode-prompts": "Write the knowledge bank of the dataset's own CLIP (HDF5).",
        "encode-images": "Store the features of a frozen encoder, to train from (zarr).",
        "train": "Train one variant end to end from image-level labels.",
        "infer": "Write the raw pair logits of a split (zarr).",
        "evaluate": "Fuse scores and compute mAP.",
        "report": "Draw the results: tables, figures, one HTML page.",
        "verify": "Check all artifacts on disk against their manifests.",
        "rerun": "Run a stage again from its manifest and compare digests.",
    },
    "Exchange": {
        "import-proposals": "Turn detections of others into proposals.",
        "export": "Write a run's detections for the official evaluators.",
        "convert": "Turn detections from one form into another.",
    },
    "Study": {
        "score": "Score every row that shares a seeded run.",
        "proposal-recall": "Count the annotated boxes and pairs that are among the proposals.",
        "annotated-proposals": "Write annotated boxes as proposals, to tell detector from interaction errors.",
        "label-quality": "Compare labels that nobody annotated with annotated ones of training images.",
        "sweep": "Sweep the weight of one factor of the score over seeded runs.",
        "represent": "Write representations of a split's best-detected pairs (HDF5).",
        "tsne": "Draw t-SNE of representations and knowledge banks.",
    },
}
_SHOWN = {name: line for commands in _GROUPS.values() for name, line in commands.items()}
_COMMANDS = {*_SHOWN, "code", "rows"}  # these two only study/dvc.yaml calls, so the help leaves them out


def command_named(name: str) -> click.Command:
    """Import the command of a stage, "import_proposals" or "import-proposals"."""
    command: click.Command = importlib.import_module(f"stages.{name.replace('-', '_')}").command
    return command


class _LazyGroup(click.Group):
    """A group that knows names and help lines of its commands without importing them, and suggests close matches."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return command_named(cmd_name) if cmd_name in _COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group, commands in _GROUPS.items():
            with formatter.section(group):
                formatter.write_dl(list(commands.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=_SHOWN[name]) for name in sorted(_SHOWN) if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f'no command "{args[0]}"{did_you_mean(args[0], sorted(_COMMANDS))}')
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="weakhoi")
def main() -> None:
    """Weakly-supervised human-object interaction detection, stage by stage.

    Each command has a help of its own: weakhoi COMMAND --help. `dvc repro` runs the pipeline's commands in order.
    """


if __name__ == "__main__":
    main()
