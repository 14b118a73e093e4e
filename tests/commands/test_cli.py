"""What all commands have in common: help, names of options, answers to wrong ones."""

import argparse
import subprocess
import sys

import pytest

from slim_resnet import cli
from slim_resnet.commands import evaluate
from slim_resnet.images.settings import BATCH_SIZE
from slim_resnet.inference import accuracy


def parsers(parser=None, path=()):
    """Yields ``(words, parser)`` of every command, and of every action of one."""
    for action in (parser or cli.build_parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, subparser in action.choices.items():
                yield (*path, name), subparser
                yield from parsers(subparser, (*path, name))


ALL = dict(parsers())


def said(capsys, *words):
    """Returns what a command line that cannot be parsed is answered, one line on stderr."""
    with pytest.raises(SystemExit) as exit_info:
        cli.main(words)
    out, err = capsys.readouterr()
    assert exit_info.value.code == 2 and out == "" and err.count("\n") == 1
    return err


def test_commands():
    assert [words for words in ALL if len(words) == 1] == [(name,) for name in cli.COMMANDS]
    assert [words for words in ALL if len(words) > 1] == [
        ("checkpoint", "describe"), ("checkpoint", "diff"), ("checkpoint", "convert"),
        ("data", "digits"), ("data", "photographs"), ("data", "checkpoint")]


def test_without_a_word_there_is_help(capsys):
    assert cli.main([]) == 0
    out, err = capsys.readouterr()
    assert err == "" and all(f"\n    {name}" in out for name in cli.COMMANDS)
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["--help"])
    assert exit_info.value.code == 0 and capsys.readouterr().out == out


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_of_each(words, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main([*words, "--help"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: slim-resnet {' '.join(words)} ")


def test_help_loads_nothing_that_is_slow():
    code = ("import sys; from slim_resnet import cli; cli.main([]); "
            "sys.exit(str([name for name in ('tensorflow', 'tf_slim', 'numpy', 'matplotlib') "
            "if name in sys.modules]))")
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.stderr.strip() == "[]"


@pytest.mark.parametrize("words, answer", [
    (["clasify"], "slim-resnet: error: there is no COMMAND 'clasify'; did you mean classify? "
                  "(see slim-resnet --help)"),
    (["diagram"], "slim-resnet: error: there is no COMMAND 'diagram'; there are run, benchmark, "),
    (["--versoin"], "slim-resnet: error: there is no option --versoin; did you mean --version? "),
    (["checkpoint", "describ"], "slim-resnet checkpoint: error: there is no ACTION 'describ'; did "
                                "you mean describe? (see slim-resnet checkpoint --help)"),
    (["checkpoint", "diff", "a", "b", "--jsn"], "slim-resnet checkpoint diff: error: there is no "
     "option --jsn; did you mean --json? (see slim-resnet checkpoint diff --help)"),
    # Said of the option, though words that are needed are missing too.
    (["train", "--ouput=run"], "slim-resnet train: error: there is no option --ouput; did you mean "
                               "--output? (see slim-resnet train --help)"),
    (["classify", "a", "b", "--lables", "l.txt"], "there is no option --lables; did you mean "
                                                  "--labels? (see slim-resnet classify --help)"),
    (["classify", "a", "b", "--qwertz"], "there is no option --qwertz (see slim-resnet classify"),
    (["classify", "a", "b", "-q"], "slim-resnet classify: error: unrecognized arguments: -q (see "
                                   "slim-resnet classify --help)"),
    (["export", "a", "b", "c", "--format", "v1"], "slim-resnet export: error: unrecognized "
                                                  "arguments: c"),
    # No option is shortened: a new one would change what old lines mean.
    (["classify", "a", "b", "--label", "l.txt"], "did you mean --labels?"),
    (["classify", "--", "--labels"], "the following arguments are required: IMAGE"),
])
def test_what_there_is_not_is_one_line(words, answer, capsys):
    assert answer in said(capsys, *words)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_underscores_stand_for_dashes(words, capsys):
    options = [name for name in ALL[words]._option_string_actions
               if name.startswith("--") and "-" in name[2:]]
    for option in options:
        underscored = "--" + option[2:].replace("-", "_")
        # Fault is found with much, but not with the name.
        assert "no option" not in said(capsys, *words, underscored + "=", "-q")
    assert options or words not in (("train",), ("benchmark",), ("classify",))


def test_values_keep_their_underscores(capsys):
    arguments = cli.build_parser().parse_args(
        ["export", "a_b", "c_d", "--format=saved_model", "--image_size=7", "--end_points", "e_f"])
    assert (arguments.checkpoint, arguments.output, arguments.format, arguments.image_size,
            arguments.end_points) == ("a_b", "c_d", "saved_model", 7, ["e_f"])


@pytest.mark.parametrize("words, verbose", [
    (["--verbose", "checkpoint", "describe", "a"], True),
    (["checkpoint", "--verbose", "describe", "a"], True),
    (["checkpoint", "describe", "a", "--verbose"], True), (["checkpoint", "describe", "a"], False)])
def test_verbose_goes_anywhere(words, verbose, monkeypatch):
    seen = []
    monkeypatch.setattr("slim_resnet.commands.checkpoint._describe", seen.append)
    assert cli.main(words) == 0
    assert seen[0].verbose is verbose


def test_options_that_several_commands_have_are_the_same():
    helps = {}
    for parser in ALL.values():
        for option in ("--labels", "--preprocessing", "--optimize", "--resume", "--ray"):
            action = parser._option_string_actions.get(option)
            if action:
                helps.setdefault(option, []).append(action.help)
    assert {option: len(texts) for option, texts in helps.items()} == {
        "--labels": 4, "--preprocessing": 7, "--optimize": 5, "--resume": 3, "--ray": 3}
    for option in ("--labels", "--ray", "--resume"):
        assert len(set(helps[option])) == 1


def test_defaults_of_evaluate_and_library_agree():
    assert evaluate.COMPARED_BATCH_SIZE == accuracy.BATCH_SIZE
    assert f"(default: {BATCH_SIZE}; with --compare {accuracy.BATCH_SIZE})" in " ".join(
        ALL["evaluate",].format_help().split())


@pytest.fixture
def of_a_script():
    """A parser with a command that runs a script, whose words are its own."""
    parser = cli.Parser(prog="p")
    command = parser.add_subparsers(dest="command", metavar="COMMAND").add_parser("go")
    command.add_argument("--in-part", metavar="NAME")
    command.add_argument("--dry-run", action="store_true")
    command.add_argument("-m", dest="module", nargs=argparse.REMAINDER)
    command.add_argument("script", nargs=argparse.REMAINDER)
    return parser


@pytest.mark.parametrize("words", [
    ["s.py", "--batch_size=1", "--in_part", "--qwertz", "-m", "--", "--dry-run", "-h"],
    ["s.py"], ["s.py", "--", "a"]])
@pytest.mark.parametrize("before", [[], ["--in_part", "x_y", "--dry_run"], ["--in_part=x_y"]])
def test_a_script_s_own_words_are_left_alone(of_a_script, words, before):
    arguments = of_a_script.parse_args(["go", *before, *words])
    assert arguments.script == words
    assert arguments.in_part == ("x_y" if before else None)
    assert arguments.dry_run is ("--dry_run" in before)
    module = of_a_script.parse_args(["go", *before, "-m", "a.b", *words[1:]])
    assert module.module == ["a.b", *words[1:]]
    assert module.in_part == ("x_y" if before else None)


@pytest.mark.parametrize("words, said", [
    (["go", "--dry_rum", "s.py"], "no option --dry-rum; did you mean --dry-run?"),
    # So is what stands behind an option's value.
    (["go", "--in_part", "x", "--dry_rum", "s.py"], "--dry-rum; did you mean --dry-run?")])
def test_options_before_the_script_are_ours(of_a_script, words, said, capsys):
    with pytest.raises(SystemExit):
        of_a_script.parse_args(words)
    assert said in capsys.readouterr().err
