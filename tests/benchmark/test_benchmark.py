import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tf_slim.layers import layers as slim_layers

from slim_resnet import cli, compat, models, resnet_v2
from slim_resnet.benchmark import experiment as benchmark
from slim_resnet.commands import benchmark as command
from slim_resnet.errors import SlimResnetError
from tests.helpers import hardware
from tests.helpers.command_line import ROOT, one_error_line

tf1 = tf.compat.v1
SIZE = ["--batch-size", "2", "--image-size", "32", "--burn-in", "1"]
SMALL = ["--model", "resnet_v2_50", *SIZE, "--num-classes", "7", "--num-batches", "3"]


@pytest.fixture(autouse=True)
def shallow(monkeypatch):
    """Has ``resnet_v2_50`` a unit a block, for the time that all of them take to build."""
    monkeypatch.setitem(resnet_v2.DEPTHS, 50, (1, 1, 1, 1))


def run_cli(*arguments, status=0):
    assert cli.main(["benchmark", *arguments]) == status


def record_of(tmp_path, *arguments):
    path = str(tmp_path / "record.json")
    run_cli(*SMALL, *arguments, "--json", path)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def test_record_holds_options_durations_and_machine(tmp_path, capsys):
    record = record_of(tmp_path, "--seed", "3", "--intra-op-threads", "2",
                       "--inter-op-threads", "1")
    out = capsys.readouterr()
    assert re.search(r": Forward across 3 steps, \d+\.\d{3} \+/- \d+\.\d{3} sec / batch\n\Z",
                     out.out)
    assert "building resnet_v2_50" in out.err
    assert record["options"] == {
        "models": ["resnet_v2_50"], "checkpoints": [], "compare": False, "batch_size": 2,
        "image_size": 32, "num_classes": 7, "num_batches": 3, "burn_in": 1, "mode": "forward",
        "input": "random", "images": None, "fetch": "output", "precision": "float32",
        "intra_op_threads": 2, "inter_op_threads": 1,
        "device": None, "target": "", "step_timeout": 600, "seed": 3, "optimize": False,
        "engine": "tensorflow", "calibrate": None, "accept": False}
    run, = record["runs"]
    assert len(run["durations_s"]) == 3 and len(run["burn_in_durations_s"]) == 1
    assert run["statistics"]["mean_s"] == pytest.approx(np.mean(run["durations_s"]))
    assert run["statistics"]["images_per_second"] == pytest.approx(2 / np.mean(run["durations_s"]))
    assert record["environment"]["versions"]["tensorflow"] == tf.__version__
    assert record["environment"]["cpu"]["cores"] >= 1
    assert record["environment"]["onednn"] in (True, False)
    assert "/physical_device:CPU:0" in record["environment"]["devices"]
    run_cli("--show", str(tmp_path / "record.json"))
    shown = capsys.readouterr().out
    assert f"{run['statistics']['mean_s']:.3f}" in shown and "resnet_v2_50" in shown


def test_defaults_are_the_blogs_experiment():
    arguments = cli.build_parser().parse_args(["benchmark"])
    options, images = command._check(arguments)
    assert images is None
    assert benchmark.BenchmarkOptions(**options) == benchmark.BenchmarkOptions(
        models=("blog_resnet_v2_152",), batch_size=32, image_size=None, num_classes=1000,
        num_batches=100, burn_in=10, mode="forward", input="random", fetch="output",
        precision="float32")
    assert models.MODELS["blog_resnet_v2_152"].image_size == 224


@pytest.fixture
def prepared():
    """Prepares a small ResNet-50 and closes its session afterwards."""
    made = []

    def prepare(images=None, **options):
        one = benchmark.prepare("resnet_v2_50", benchmark.BenchmarkOptions(
            **{"models": ("resnet_v2_50",), "batch_size": 2, "image_size": 32, "num_classes": 7,
               "seed": 1, **options}), images)
        made.append(one)
        return one
    yield prepare
    for one in made:
        one.run.session.close()


def two_runs(one):
    return [one.run.session.run(one.run.target, one.run.feed_dict) for _ in range(2)]


def test_random_input_is_new_in_every_step(prepared):
    a, b = two_runs(prepared())
    assert a.shape == (2, 1, 1, 7) and not np.array_equal(a, b)


@pytest.mark.parametrize("kind", ["constant", "feed"])
def test_other_inputs_stay_the_same(prepared, kind):
    one = prepared(input=kind)
    a, b = two_runs(one)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    assert np.ptp(a) > 0
    assert bool(one.run.feed_dict) == (kind == "feed")
    with one.run.session.graph.as_default():
        assert len(tf1.global_variables()) == 80


@pytest.mark.slow
def test_images_reach_the_network_alike_fed_and_constant(prepared):
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    fed, _ = two_runs(prepared(images, input="feed"))
    kept, _ = two_runs(prepared(images, input="constant"))
    other, _ = two_runs(prepared(images[::-1], input="feed"))
    # Same seed, but op seeds count ops, and the two graphs differ in these: compare batches.
    np.testing.assert_allclose(fed[::-1], other, rtol=1e-4, atol=1e-4)
    assert kept.shape == fed.shape


def test_fetch_none_copies_nothing(prepared):
    assert two_runs(prepared(fetch="none")) == [None, None]


@pytest.mark.slow
def test_forward_backward_is_the_gradient_for_all_variables(prepared):
    one = prepared(mode="forward-backward", input="feed")
    gradients, _ = two_runs(one)
    with one.run.session.graph.as_default():
        trainable = tf1.trainable_variables()
    assert [g.shape for g in gradients] == [tuple(v.shape.as_list()) for v in trainable]
    assert len(gradients) == 80 - 2 * 13
    # d(l2_loss)/d(logits' biases) is the sum of the logits over the batch.
    logits = one.run.session.run(one.run.session.graph.get_tensor_by_name(
        "resnet_v2_50/logits/BiasAdd:0"), one.run.feed_dict)
    by_name = dict(zip([v.op.name for v in trainable], gradients))
    np.testing.assert_allclose(by_name["resnet_v2_50/logits/biases"], logits.sum((0, 1, 2)),
                               rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_forward_backward_leaves_out_what_the_logits_do_not_see():
    one = benchmark.prepare("inception_v3", benchmark.BenchmarkOptions(
        batch_size=1, image_size=107, num_classes=2, mode="forward-backward", fetch="none"))
    with one.run.session:
        aux = [v for v in one.run.session.graph.get_collection(
            tf1.GraphKeys.TRAINABLE_VARIABLES) if "AuxLogits" in v.op.name]
        assert aux and one.run.session.run(one.run.target) is None


def test_threads_and_precision_reach_the_session(monkeypatch):
    monkeypatch.setattr(benchmark, "check_bfloat16", lambda onednn: None)
    config = benchmark.session_config(benchmark.BenchmarkOptions(intra_op_threads=3,
                                                                 inter_op_threads=2,
                                                                 precision="bfloat16"))
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (3, 2)
    rewrites = config.graph_options.rewrite_options
    assert rewrites.auto_mixed_precision_onednn_bfloat16 == 1
    plain = benchmark.session_config(benchmark.BenchmarkOptions()).graph_options.rewrite_options
    assert plain.auto_mixed_precision_onednn_bfloat16 == 0


@pytest.mark.parametrize("has_bfloat16, message", [
    (False, "precision bfloat16: this CPU"), (True, "precision bfloat16: needs oneDNN")])
def test_bfloat16_that_would_not_be_used_is_refused(has_bfloat16, message, capsys, monkeypatch):
    """TensorFlow's rewrite does nothing then, and says nothing."""
    monkeypatch.setattr("slim_resnet.common.environment.has_bfloat16", lambda flags: has_bfloat16)
    run_cli(*SMALL, "--precision", "bfloat16", status=2)
    assert message in one_error_line(capsys)
    with pytest.raises(SlimResnetError, match=message):
        benchmark.session_config(benchmark.BenchmarkOptions(precision="bfloat16"))


@pytest.mark.slow
@pytest.mark.skipif(not hardware.HAS_BFLOAT16, reason="this CPU has no bfloat16")
def test_bfloat16_is_timed_where_the_cpu_has_it(tmp_path):
    path = tmp_path / "r.json"
    subprocess.run([sys.executable, "-m", "slim_resnet", "benchmark", *SMALL, "--precision",
                    "bfloat16", "--json", str(path)], check=True, cwd=ROOT,
                   env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"})
    assert json.loads(path.read_text())["options"]["precision"] == "bfloat16"


@pytest.mark.slow
def test_device_target_fetch_input_and_mode_options(tmp_path):
    server = tf1.train.Server.create_local_server()
    record = record_of(tmp_path, "--target", server.target, "--device", "/CPU:0", "--fetch", "none",
                       "--input", "constant", "--mode", "forward-backward")
    assert {key: record["options"][key] for key in ("target", "device", "fetch", "input", "mode")} \
        == {"target": server.target, "device": "/CPU:0", "fetch": "none", "input": "constant",
            "mode": "forward-backward"}
    assert record["runs"][0]["info_string"] == "Forward-backward"


def write_images(folder, count):
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 255, (40, 50, 3), np.uint8)
        with tf.Graph().as_default(), tf1.Session() as session:
            encode = tf.io.encode_jpeg if i % 2 else tf.io.encode_png
            contents = session.run(encode(pixels))
        (folder / f"{i}.{'jpg' if i % 2 else 'png'}").write_bytes(contents)


@pytest.mark.slow
def test_images_are_fed_repeated_or_cut(tmp_path, capsys):
    write_images(tmp_path, 3)
    record = record_of(tmp_path, "--images", str(tmp_path))
    assert record["options"]["input"] == "feed"
    assert record["options"]["images"] == str(tmp_path)
    assert "3 images" in (err := capsys.readouterr().err) and "cut to the batch of 2" in err
    batch = command._image_batches(str(tmp_path), 5, {32})(32)
    assert batch.shape == (5, 32, 32, 3) and batch.dtype == np.float32
    np.testing.assert_array_equal(batch[3:], batch[:2])
    assert not np.array_equal(batch[0], batch[1])
    assert "repeated to the batch of 5" in capsys.readouterr().err


def test_a_broken_image_among_good_ones_is_named(tmp_path, capsys):
    write_images(tmp_path, 2)
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:200])
    run_cli(*SMALL, "--images", str(tmp_path), status=2)
    assert "1.jpg" in one_error_line(capsys)


def test_compare_times_in_turn_and_prints_the_claim(tmp_path, monkeypatch, capsys):
    order = []

    def small(name):
        def build(images, num_classes, is_training):
            order.append(name)
            return tf.matmul(tf.reduce_mean(images, [1, 2]), tf.ones([3, 2])), {}
        return models.Model(name, build, image_size=32)

    monkeypatch.setattr(models, "MODELS", {name: small(name) for name in command.COMPARED})
    monkeypatch.setattr(command, "MODELS", models.MODELS)
    path = str(tmp_path / "c.json")
    run_cli("--compare", "--batch-size", "2", "--num-batches", "11", "--burn-in", "0",
            "--json", path)
    out = capsys.readouterr().out
    assert order == list(command.COMPARED)
    steps = re.findall(r": (\w+) Forward step (\d+), duration", out)
    assert steps == [(name, step) for step in ("0", "10") for name in command.COMPARED]
    assert "50 % more" in out
    run_cli("--show", path, path)
    assert "min / median / max of 2 runs" in capsys.readouterr().out


@pytest.mark.slow
def test_steps_are_counted_on_a_terminal_only(monkeypatch, capsys):
    run_cli(*SMALL)
    assert "of 4 steps" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run_cli(*SMALL)
    err = capsys.readouterr().err
    assert "1 of 4 steps (25 %)" in err and "4 of 4 steps (100 %)" in err
    assert err.endswith("\r\x1b[K")


@pytest.mark.slow
def test_several_models_one_after_the_other(tmp_path, capsys):
    run_cli("--model", "resnet_v2_50", "inception_v3", "--image-size", "107", "--batch-size", "1",
            "--num-batches", "1", "--burn-in", "0")
    out = capsys.readouterr().out
    assert out.index("resnet_v2_50 Forward across") < out.index("inception_v3 Forward across")
    assert out.count("\nresnet_v2_50 ") == 1


def test_plot_and_trace(tmp_path):
    pytest.importorskip("matplotlib")
    plot, trace = tmp_path / "p.png", tmp_path / "t.json"
    run_cli(*SMALL, "--plot", str(plot), "--trace", str(trace))
    picture = tf.io.decode_png(plot.read_bytes()).numpy()
    assert picture.shape[0] > 300 and picture.shape[1] > 900 and picture.std() > 10
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert any("Conv2D" in str(name) for name in names)
    assert sorted(os.listdir(tmp_path)) == ["p.png", "t.json"]


def test_plot_without_matplotlib_says_so_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run_cli(*SMALL, "--plot", str(tmp_path / "p.png"), status=2)
    assert "pip install 'slim-resnet[plot]'" in one_error_line(capsys)


def test_tensorflows_errors_become_one_line(monkeypatch, capsys):
    def build(images, num_classes, is_training):
        with tf.control_dependencies([tf.debugging.Assert(False, ["broken on purpose"])]):
            return tf.reduce_mean(images, [1, 2]), {}
    monkeypatch.setattr(models, "MODELS", {"resnet_v2_50": models.Model("resnet_v2_50", build)})
    run_cli(*SMALL, status=2)
    errors = capsys.readouterr().err.splitlines()
    assert "could not run the network" in errors[-1] and "broken on purpose" in errors[-1]


@pytest.mark.slow
def test_ctrl_c_keeps_what_there_is(slim, tmp_path):
    path = tmp_path / "r.json"
    arguments = ["--checkpoint", slim.path, *SIZE, "--num-batches", "100000", "--json", str(path)]
    process = subprocess.Popen([sys.executable, "-m", "slim_resnet", "benchmark", *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()  # a timed step is over
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.splitlines()[-1].endswith("(partial: stopped before 100000 steps)")
    run, = json.loads(path.read_text())["runs"]
    assert run["partial"] and len(run["durations_s"]) > 5
    assert "Traceback" not in err


@pytest.mark.slow
def test_stderr_has_our_lines_only_unless_verbose(slim):
    def stderr_of(*more):
        environ = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
        return subprocess.run([sys.executable, "-m", "slim_resnet", "benchmark", "--checkpoint",
                               slim.path, *SIZE, "--num-batches", "3", *more],
                              capture_output=True, text=True, check=True, env=environ).stderr
    quiet = stderr_of().splitlines()
    assert [line.split(":")[0] for line in quiet] == ["slim-resnet benchmark"] * 2
    assert len(stderr_of("--verbose").splitlines()) > len(quiet)


def test_keras_convolutions_are_only_lent():
    ours = slim_layers.convolutional_layers
    with pytest.raises(RuntimeError), compat.keras_convolutions():
        assert slim_layers.convolutional_layers is not ours
        raise RuntimeError
    assert slim_layers.convolutional_layers is ours
