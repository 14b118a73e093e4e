"""A script is run as ``python SCRIPT.py`` runs it: words, statuses, errors, processes."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path
    return write


def start(folder, *words, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environment", {})}
    return subprocess.Popen([sys.executable, "-m", "slim_resnet", "run", *map(str, words)],
                            cwd=folder, env=environment, text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def run(folder, *words, stdin="", **options):
    process = start(folder, *words, start_new_session=True, **options)
    try:
        stdout, stderr = process.communicate(stdin, timeout=90)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a Pool and the children that it starts
        raise
    return process.returncode, stdout, stderr


def python(folder, *words, stdin=""):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, text=True, input=stdin,
                          capture_output=True, env=environment)
    return done.returncode, done.stdout, done.stderr


# Of one script's outcomes, what must be as under python itself.
AS_PYTHON = {
    "words, name, file": """
        import sys, os
        print(sys.argv, __name__, os.path.basename(__file__), sys.path[0] == os.path.dirname(
            os.path.abspath(__file__)), sys.modules["__main__"].__dict__ is globals(), __doc__,
            __package__, __spec__)
        """,
    "stdin": "print(input(), input())",
    "status": "import sys; sys.exit(7)",
    "status with a message": "import sys; sys.exit('no data')",
    "an error in a function": """
        def f(x):
            return 1 / x

        try:
            f(0)
        except ZeroDivisionError as error:
            raise ValueError("wrong") from error
        """,
    "an error in a module": "import other",
    "a package that is not installed": "import no_such_package_anywhere",
    "Python 3's syntax error": "x = 1\nif x\n    pass\n",
    "a main pickle": """
        import pickle

        class Thing:
            pass

        print(type(pickle.loads(pickle.dumps(Thing()))) is Thing, Thing.__module__)
        """,
    "source": """
        import inspect

        def f():
            return 1  # a comment

        print(inspect.getsource(f), inspect.getsourcefile(f) == __file__)
        """,
    "at exit": """
        import atexit, threading, time
        atexit.register(print, "last")
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
        raise KeyError("key")
        """,
    "subprocess": """
        import subprocess, sys
        print(subprocess.check_output([sys.executable, "-c", "print(1)"]))
        """,
}


@pytest.mark.parametrize("kind", AS_PYTHON)
def test_as_python(kind, write, tmp_path):
    write("other.py", "def broken():\n    raise RuntimeError('here')\n\nbroken()\n")
    script = write("script.py", AS_PYTHON[kind])
    expected = python(tmp_path, script.name, "--name", "value", stdin="a\nb\n")
    assert run(tmp_path, script.name, "--name", "value", stdin="a\nb\n") == expected


def test_module_as_python(write, tmp_path):
    write("package/__init__.py", "")
    write("package/inner.py", "VALUE = 3")
    write("package/train.py", """
        import sys
        from . import inner
        print(sys.argv[1:], __name__, __package__, __spec__.name, inner.VALUE)
        """)
    write("package/__main__.py", "print('main of', __package__)")
    for module in ("package.train", "package"):
        assert run(tmp_path, "-m", module, "-v", "--x=1") == python(
            tmp_path, "-m", module, "-v", "--x=1")


def test_bad_input_is_one_line(write, tmp_path):
    write("old.py", "print 'hello'\n")
    write("imports_old.py", "import older\n")
    write("older.py", "def f():\n    try:\n        pass\n    except ValueError, e:\n        pass\n")
    for words, line in (
            (["none.py"], "none.py: no such file"),
            (["."], ". is a folder; name a script, or a module with -m"),
            (["-m", "no_such_module"], "no module no_such_module with a source file on sys.path"),
            ([], "name a script, or a module with -m"),
            (["old.py"], f"{tmp_path / 'old.py'}, line 1: this is Python 2; add --python2"),
            (["imports_old.py"], f"{tmp_path / 'older.py'}, line 4: this is Python 2; "
             "add --python2")):
        assert run(tmp_path, *words) == (2, "", f"slim-resnet run: error: {line}\n")


def test_ctrl_c_as_python(write, tmp_path):
    write("script.py", """
        import time
        print("ready", flush=True)
        time.sleep(60)
        """)
    # A shell has its background jobs ignore the signal, and what they start with them.
    process = start(tmp_path, "script.py",
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert stderr.splitlines()[-1] == "KeyboardInterrupt" and "slim_resnet" not in stderr


def test_python2_files_run_with_the_option(write, tmp_path):
    write("helper.py", """
        def half(n):
            return n / 2
        """)
    write("three.py", "print(1 / 2, end='', flush=True)\nasync def f(): return 1\n")
    write("parts/__init__.py", "import sibling\nfrom sibling import VALUE\n")
    write("parts/sibling.py", "VALUE = 5\ndef f():\n    if VALUE:\n\treturn 1\n")
    write("parts/absolute.py", "from __future__ import absolute_import\nimport sibling\n")
    write("sibling.py", "VALUE = 6")
    write("true.py", "from __future__ import division\nHALF = 7 / 2\n")
    script = write("script.py", """
        import Queue, helper, true, three
        from itertools import izip

        class Count:
            n = 7L

        print "half", Count.n / 2, -7 / 2, 7 / 2.0, helper.half(7), true.HALF
        try:
            raise ValueError, "old"
        except ValueError, error:
            print "caught", error
        d = {"a": 1}
        print d.has_key("a"), d.keys()[0], [k for k, v in d.iteritems()], `d`, 0777, 1 <> 2
        print map(lambda (a, b): a + b, izip([1], [2])), unicode("u"), xrange(3)[1]
        x = 7
        x /= 2
        exec "y = x"
        import parts, parts.absolute, sibling
        print parts.VALUE, parts.absolute.sibling.VALUE, sibling.VALUE
        print y, Queue.Queue().empty(), raw_input()
        """)
    before = script.read_bytes()
    assert run(tmp_path, "--python2", "script.py", stdin="word\n") == (0, textwrap.dedent("""\
        0half 3 -4 3.5 3 3.5
        caught old
        True a ['a'] {'a': 1} 511 True
        [3] u 1
        5 6 6
        3 True word
        """), "")
    assert script.read_bytes() == before


def test_old_lines_in_a_traceback_under_python2(write, tmp_path):
    write("script.py", "import sys\nprint 'one'\n\ndef f():\n    raise KeyError, 'two'\n\nf()\n")
    status, stdout, stderr = run(tmp_path, "--python2", "script.py")
    assert (status, stdout) == (1, "one\n")
    lines = [line.strip() for line in stderr.splitlines()]
    assert "raise KeyError, 'two'" in lines and any(", line 5, in f" in line for line in lines)


def test_pycache_is_neither_read_nor_written(write, tmp_path):
    write("module.py", "VALUE = 'plain'")
    write("script.py", "import module; print(module.VALUE)")
    python(tmp_path, "script.py")
    cache, = (tmp_path / "__pycache__").glob("module.*.pyc")
    module = tmp_path / "module.py"
    stat = module.stat()
    module.write_text("VALUE = 'fresh'")  # as long and as old: Python takes the cache for it
    os.utime(module, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    content = cache.read_bytes()
    assert python(tmp_path, "script.py")[1] == "plain\n"
    assert run(tmp_path, "script.py")[1] == "fresh\n"
    assert cache.read_bytes() == content and len(list((tmp_path / "__pycache__").iterdir())) == 1


SEES = "def sees():\n    return __import__('xml').__name__, 'xrange' in dir(__builtins__) or " \
       "'xrange' in __builtins__\n"


def test_what_is_user_code(write, tmp_path):
    write("script/beside.py", SEES)
    write("path/on_path.py", SEES)
    write("appended/later.py", SEES)
    write("lib/site-packages/installed.py", SEES)
    write("lib/site-packages/named/__init__.py", SEES)
    write("script/script.py", f"""
        import sys
        sys.path[:0] = ["{tmp_path}/appended", "{tmp_path}/lib/site-packages"]
        import beside, on_path, later, installed, named, importlib.util
        spec = importlib.util.spec_from_file_location("by_file", "{tmp_path}/appended/later.py")
        by_file = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(by_file)
        print([m.sees()[1] for m in (beside, on_path, later, installed, named, by_file)])
        """)
    environment = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'path'}"}
    for words, sees in (([], "[True, True, True, False, False, True]\n"),
                        (["--tf1-package", "named"], "[True, True, True, False, True, True]\n")):
        assert run(tmp_path, *words, "script/script.py", environment=environment) == (0, sees, "")


@pytest.mark.slow
def test_flags_of_the_script(write, tmp_path):
    write("script.py", """
        import tensorflow as tf
        flags = tf.app.flags
        flags.DEFINE_string("log_dir", "logs", "Where logs go.")
        flags.DEFINE_integer("steps", 3, "How many steps.")
        FLAGS = flags.FLAGS

        def main(_):
            FLAGS._parse_flags()
            print(FLAGS.log_dir, FLAGS.steps + 1, tf.app.flags.FLAGS.steps)
            tf.logging.info("not shown")
            tf.logging.warn("shown")

        if __name__ == "__main__":
            tf.app.run()
        """)
    status, stdout, stderr = run(tmp_path, "script.py", "--log_dir=x", "--steps", "5")
    assert (status, stdout) == (0, "x 6 5\n")
    assert stderr.splitlines() == ["WARNING:tensorflow:shown"] or stderr.endswith("] shown\n")
    status, stdout, _ = run(tmp_path, "script.py", "--help")
    assert status != 2 and "--steps: How many steps." in stdout and "script.py" in stdout


CHILDREN = """
    import multiprocessing
    import sys

    import tensorflow as tf

    slim = tf.contrib.slim

    class Thing:
        value = 5

    def work(x):
        assert tf.__version__.startswith("1.15") and slim.conv2d
        return x * Thing.value

    if __name__ == "__main__":
        context = multiprocessing.get_context("{method}")
        with context.Pool(1) as pool:
            print(pool.map(work, [1, 2]))
    """


@pytest.mark.slow
@pytest.mark.parametrize("method", ("spawn", "forkserver"))
def test_children_see_tensorflow_1(method, write, tmp_path):
    write("script.py", CHILDREN.format(method=method))
    assert python(tmp_path, "-c", "import script")[2].splitlines()[-1].startswith(
        "AttributeError: module 'tensorflow' has no attribute 'contrib'")
    status, stdout, stderr = run(tmp_path, "script.py")
    assert (status, stdout) == (0, "[5, 10]\n"), stderr


@pytest.mark.slow
def test_install_from_python(write, tmp_path):
    write("module.py", "import tensorflow as tf\nslim = tf.contrib.slim\n")
    write("notebook.py", """
        import slim_resnet
        import sys
        before = sys.modules.get("tensorflow"), list(sys.meta_path), __builtins__
        import slim_resnet.tf1
        assert before == (None, list(sys.meta_path), __builtins__)
        slim_resnet.tf1.install()
        import tensorflow as tf
        import module

        def later():
            import tensorflow.contrib.layers as layers
            return layers.l2_regularizer

        assert tf.contrib.slim is module.slim and later() and not tf.executing_eagerly()
        import tf_slim
        assert sys.modules["tensorflow"] is not tf and tf_slim
        print(tf.__version__)
        """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "notebook.py"], cwd=tmp_path, env=environment,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1.15.5\n"), done.stderr


@pytest.mark.slow
def test_argument_order_of_tensorflow_1_0_is_said_once(write, tmp_path):
    write("script.py", """
        import tensorflow as tf
        from tensorflow.contrib.slim.nets import resnet_v1
        for scope in "ab":
            resnet_v1.resnet_v1_50(tf.zeros([1, 32, 32, 3]), 5, False, scope=scope)
        """)
    status, stdout, stderr = run(tmp_path, "script.py")
    assert (status, stdout) == (0, "")
    assert stderr == (
        "slim-resnet run: resnet_v1_50: its third argument by position is taken as is_training, "
        "as since TensorFlow 1.1; TensorFlow 1.0 had global_pool there\n")
