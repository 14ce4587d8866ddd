"""The console script `weakhoi`: one sub-command per stage, imported only when it is called."""

from __future__ import annotations

import importlib
import importlib.util

import click

from pipeline.core.errors import did_you_mean

_COMMANDS = {
    "prepare": "stages.prepare",
    "detect": "stages.detect",
    "encode-prompts": "stages.encode_prompts",
    "train": "stages.train",
    "infer": "stages.infer",
    "evaluate": "stages.evaluate",
    "score": "stages.score",
    "report": "stages.report",
    "predict": "stages.predict",
    "verify": "stages.verify",
    "rerun": "stages.rerun",
    "import-proposals": "stages.import_proposals",
    "evaluate-detections": "stages.evaluate_detections",
    "export": "stages.export",
    "summary": "stages.summary",
    "fusion-weight": "stages.fusion_weight",
    "represent": "stages.represent",
    "tsne": "stages.tsne",
    "code": "stages.code",
}


class _LazyGroup(click.Group):
    """A group that knows its commands by module name and suggests close matches."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, module in _COMMANDS.items() if importlib.util.find_spec(module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None or importlib.util.find_spec(module) is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f'no command "{args[0]}"{did_you_mean(args[0], self.list_commands(ctx))}')
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="weakhoi")
def main() -> None:
    """Weakly-supervised human-object interaction detection, stage by stage."""


if __name__ == "__main__":
    main()
