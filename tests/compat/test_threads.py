"""The parts of tf_slim that start threads, in a graph of one's own while eager mode is on."""

import threading

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from tf_slim.data import (
    dataset,
    dataset_data_provider,
    parallel_reader,
    prefetch_queue,
    tfexample_decoder,
)
from tf_slim.training import training

tf1 = tf.compat.v1


@pytest.fixture(autouse=True)
def eager_outside():
    assert tf.executing_eagerly()
    yield
    assert tf.executing_eagerly()


def regression():
    """A train op that halves the distance of ``w`` to 3 in each step, and ``w``."""
    w = tf1.get_variable("w", [], initializer=tf1.zeros_initializer())
    loss = tf1.losses.mean_squared_error(3.0, w)
    tf1.summary.scalar("loss", loss)
    train_op = slim.learning.create_train_op(loss, tf1.train.GradientDescentOptimizer(0.25))
    return train_op, w


def record_files(folder, files, records):
    """Writes examples whose label is their number; returns the files' paths."""
    paths = [str(folder / f"{i}.tfrecord") for i in range(files)]
    for i, path in enumerate(paths):
        with tf.io.TFRecordWriter(path) as writer:
            for j in range(records):
                label = tf.train.Feature(int64_list=tf.train.Int64List(value=[i * records + j]))
                writer.write(tf.train.Example(features=tf.train.Features(
                    feature={"label": label})).SerializeToString())
    return paths


def scalars(folder):
    """All ``{tag: [values]}`` in the folder's event files."""
    found = {}
    for path in sorted(folder.glob("events.*")):
        for event in tf1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(value.simple_value)
    return found


def slowly(session, train_op, global_step, kwargs):
    """A train step that waits until the Supervisor's threads have done something."""
    loss, stop = slim.learning.train_step(session, train_op, global_step, kwargs)
    threading.Event().wait(0.15)
    return loss, stop


def test_learning_train_with_its_summaries_and_checkpoints(tmp_path):
    with tf.Graph().as_default():
        train_op, _ = regression()
        loss = slim.learning.train(
            train_op, str(tmp_path), number_of_steps=10, train_step_fn=slowly,
            save_summaries_secs=0.2, save_interval_secs=0.2)
    # The loss of step 10 was taken before it: the distance halved nine times, squared.
    assert loss == pytest.approx((3 / 2 ** 9) ** 2, rel=1e-4)
    written = tf.train.load_checkpoint(tf.train.latest_checkpoint(tmp_path))
    assert written.get_tensor("w") == pytest.approx(3 - 3 / 2 ** 10)
    assert written.get_tensor("global_step") == 10
    # The threads wrote too: checkpoints before the last, losses and the speed.
    steps = {int(path.name.split("-")[1].split(".")[0]) for path in tmp_path.glob("*.index")}
    assert 10 in steps and len(steps) > 1
    found = scalars(tmp_path)
    assert len(found["loss"]) > 1 and found["loss"][0] > found["loss"][-1]
    assert max(found["global_step/sec"]) > 0


def test_learning_train_of_a_graph_that_is_not_the_default(tmp_path):
    for name in ("given", "found"):
        with tf.Graph().as_default() as graph:
            train_op, _ = regression()
        loss = slim.learning.train(train_op, str(tmp_path / name), number_of_steps=2,
                                   graph=graph if name == "given" else None)
        assert loss == pytest.approx(1.5 ** 2)


def test_learning_train_stops_with_the_error_of_a_step(tmp_path):
    def failing(*args):
        raise ZeroDivisionError("step")
    with tf.Graph().as_default():
        train_op, _ = regression()
        with pytest.raises(ZeroDivisionError, match="step"):
            slim.learning.train(train_op, str(tmp_path), train_step_fn=failing,
                                save_summaries_secs=0.1)


def test_monitored_training(tmp_path):
    with tf.Graph().as_default():
        train_op, _ = regression()
        loss = training.train(
            train_op, str(tmp_path), hooks=[tf1.train.StopAtStepHook(num_steps=4)],
            save_checkpoint_secs=1, save_summaries_steps=1)
    assert loss == pytest.approx((3 / 2 ** 3) ** 2)
    assert scalars(tmp_path)["loss"] == pytest.approx([(3 / 2 ** i) ** 2 for i in range(4)])


def test_evaluation(tmp_path):
    with tf.Graph().as_default():
        train_op, _ = regression()
        slim.learning.train(train_op, str(tmp_path / "run"), number_of_steps=2)
    with tf.Graph().as_default():
        _, w = regression()
        value, update = slim.metrics.streaming_mean(w)
        tf1.summary.scalar("mean_w", value)
        path = slim.evaluation.wait_for_new_checkpoint(str(tmp_path / "run"), timeout=5)
        assert path.endswith("model.ckpt-2")
        assert slim.evaluation.evaluate_once(
            "", path, str(tmp_path / "once"), num_evals=3, eval_op=update,
            final_op=value) == pytest.approx(2.25)
        assert slim.evaluation.evaluation_loop(
            "", str(tmp_path / "run"), str(tmp_path / "loop"), num_evals=2, eval_op=update,
            final_op=value, eval_interval_secs=0, max_number_of_evaluations=1,
            timeout=5) == pytest.approx(2.25)
    assert scalars(tmp_path / "once")["mean_w"] == [2.25]
    assert scalars(tmp_path / "loop")["mean_w"] == [2.25]


def test_queue_runners_and_prefetching():
    with tf.Graph().as_default(), tf1.Session() as session:
        counter = tf1.get_variable("n", [], tf.int64, tf1.zeros_initializer(), trainable=False)
        queue = prefetch_queue.prefetch_queue([tf1.assign_add(counter, 1)], capacity=4)
        item = queue.dequeue()
        session.run(tf1.global_variables_initializer())
        with slim.queues.QueueRunners(session):
            assert [session.run(item) for _ in range(20)] == list(range(1, 21))


def test_train_from_a_dataset_of_records(tmp_path):
    paths = record_files(tmp_path, 2, 6)
    with tf.Graph().as_default():
        decoder = tfexample_decoder.TFExampleDecoder(
            {"label": tf1.FixedLenFeature([], tf.int64)},
            {"label": tfexample_decoder.Tensor("label")})
        records = dataset.Dataset(paths, tf1.TFRecordReader, decoder, 12, {"label": "number"})
        provider = dataset_data_provider.DatasetDataProvider(
            records, num_readers=2, num_epochs=2, shuffle=False)
        labels = tf1.train.batch(provider.get(["label"]), 4)
        total = tf1.get_variable("total", [], tf.int64, tf1.zeros_initializer(), trainable=False)
        step = tf1.train.get_or_create_global_step()
        summed = tf1.assign_add(total, tf.reduce_sum(labels))
        with tf.control_dependencies([summed]), tf.control_dependencies(
                [tf1.assign_add(step, 1)]):
            train_op = tf.identity(summed)
        # The queue ends after two epochs of 12 records, in batches of 4.
        assert slim.learning.train(train_op, str(tmp_path / "run")) == 2 * sum(range(12))
    written = tf.train.load_checkpoint(tf.train.latest_checkpoint(tmp_path / "run"))
    assert written.get_tensor("global_step") == 6


def test_parallel_reader_reads_every_record(tmp_path):
    paths = record_files(tmp_path, 3, 4)
    with tf.Graph().as_default(), tf1.Session() as session:
        key, _ = parallel_reader.parallel_read(
            paths, tf1.TFRecordReader, num_epochs=1, num_readers=2, shuffle=False)
        session.run([tf1.global_variables_initializer(), tf1.local_variables_initializer()])
        keys = []
        with slim.queues.QueueRunners(session):
            while len(keys) < 12:
                keys.append(session.run(key))
            with pytest.raises(tf.errors.OutOfRangeError):
                session.run(key)
    assert len(set(keys)) == 12
    assert np.all([key.decode().split(":")[0] in paths for key in keys])


def test_queue_runners_of_a_graph_that_is_not_the_default():
    with tf.Graph().as_default() as graph:
        item = tf1.train.input_producer([7.0]).dequeue()
    session = tf1.Session(graph=graph)
    with slim.queues.QueueRunners(session):
        assert tf.executing_eagerly()
        assert session.run(item) == 7
    session.close()


def test_evaluation_of_a_graph_that_is_not_the_default(tmp_path):
    with tf.Graph().as_default() as graph:
        tf1.train.get_or_create_global_step()
        w = tf1.get_variable("w", [], initializer=tf1.constant_initializer(2.5))
        value, update = slim.metrics.streaming_mean(w)
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            path = tf1.train.Saver().save(session, str(tmp_path / "w.ckpt"), global_step=1)
    assert slim.evaluation.evaluate_once(
        "", path, str(tmp_path), eval_op=update, final_op=value, summary_op=None) == 2.5
    assert graph.get_collection("eval_step")


def test_arg_scopes_are_a_thread_s_own():
    ready = [threading.Event() for _ in range(3)]
    built = {}

    def build(name, channels, turn):
        with tf.Graph().as_default():
            inputs = tf.zeros([1, 4, 4, 3])
            empty = dict(slim.current_arg_scope())
            with slim.arg_scope([slim.conv2d], num_outputs=channels, kernel_size=1):
                ready[turn].set()
                ready[1 - turn].wait(10)  # both are within their scopes now
                net = slim.conv2d(inputs)
                ready[2].wait(10)
                built[name] = (empty, net.shape[-1], slim.conv2d(inputs).shape[-1])

    with slim.arg_scope([slim.conv2d], num_outputs=9, kernel_size=3):
        ours = slim.current_arg_scope()
        threads = [threading.Thread(target=build, args=args)
                   for args in (("a", 5, 0), ("b", 7, 1))]
        for thread in threads:
            thread.start()
        with slim.arg_scope([slim.conv2d], num_outputs=11, kernel_size=3), \
             tf.Graph().as_default():
            ready[0].wait(10)
            assert slim.conv2d(tf.zeros([1, 4, 4, 3])).shape[-1] == 11
        ready[2].set()
        for thread in threads:
            thread.join()
        assert slim.current_arg_scope() is ours
    assert built == {"a": ({}, 5, 5), "b": ({}, 7, 7)}
