"""Bad input to ``slim-resnet benchmark``: one line, exit status 2, nothing written."""

import os
import socket
import threading

import pytest

from slim_resnet import cli
from slim_resnet.benchmark import servers
from slim_resnet.errors import SlimResnetError
from tests.helpers.command_line import one_error_line


@pytest.mark.parametrize("arguments, message", [
    (["--image-size", "20"], "at least 32 x 32 pixels, not 20"),
    (["--model", "vgg_16", "--image-size", "300"], "224 x 224 pixels only, not 300"),
    (["--model", "inception_v3", "--image-size", "106"], "at least 107 x 107 pixels, not 106"),
    (["--compare", "--model", "vgg_16"], "exclude each other"),
    (["--model", "vgg_16", "vgg_16"], "names a network twice"),
    (["--model", "vgg_16", "resnet_v2_50", "--trace", "t"], "--trace takes one model"),
    (["--images", "nowhere"], "nowhere: no such file or folder"),
    (["--images", ".", "--input", "random"], "not random"),
    (["--json", "nowhere/r.json"], "nowhere/r.json: the folder"),
    (["--trace", "."], ".: is a folder"),
    (["--plot", "plot.gif"], "ends in .png, .svg or .pdf"),
    (["--device", "/GPU:77"], "--device /GPU:77: is not there"),
    (["--device", "anywhere"], "is not a device name"),
    (["--target", "localhost:1"], "write grpc://HOST:PORT"),
    (["--target", "grpc://a..b:80"], "write grpc://HOST:PORT"),
    (["--target", "grpc://localhost:\u00b2"], "write grpc://HOST:PORT"),
    (["--step-timeout", "5"], "--step-timeout goes with --target"),
    (["--target", "grpc://127.0.0.1:1"], "no server can be reached there"),
    (["--show", "nowhere.json"], "nowhere.json: cannot be read"),
])
def test_bad_input_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["benchmark", *arguments]) == 2
    assert message in one_error_line(capsys)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("arguments, message", [
    (["--model", "alexnet"], "invalid choice: 'alexnet'"),
    (["--num-batches", "0"], "'0' is not a whole number of at least 1"),
    (["--burn-in", "-1"], "'-1' is not a whole number of at least 0"),
    (["--batch-size", "many"], "'many' is not a whole number"),
    (["--mode", "backward"], "invalid choice"),
])
def test_bad_options_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["benchmark", *arguments])
    assert exit_info.value.code == 2
    assert message in one_error_line(capsys)


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(servers, "TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        threading.Thread(target=mute.accept, daemon=True).start()
        with pytest.raises(SlimResnetError, match="no TensorFlow server answers there within 1 s"):
            servers.check_device(f"grpc://127.0.0.1:{mute.getsockname()[1]}", None)
