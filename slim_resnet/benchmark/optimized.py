"""The optimised form of a network that is timed in turn with it, in any engine and precision."""

import dataclasses
import time

import numpy as np

from slim_resnet import models, timing
from slim_resnet.benchmark import records
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.images import finding, reading
from slim_resnet.images.settings import Preprocessing
from slim_resnet.inference.engines.judged import LEAST_IMAGES, chosen
from slim_resnet.inference.engines.table import INT8
from slim_resnet.inference.folded.model import InferenceModel

_IMAGES = "images"


class _ModelSession:
    """An `inference.InferenceModel` as something that a `timing.Run` can run."""

    def __init__(self, model):
        self.close = model.close
        self._model = model

    def run(self, target, feed_dict):
        return self._model(feed_dict[target])


def prepare_optimized(plain, options, checkpoint, announce):
    """Folds a network that is ready to be timed, and in int8 calibrates it.

    Args:
      plain: Its `experiment.Prepared`, whose images are fed.
      options: `experiment.BenchmarkOptions`.
      checkpoint: The open `checkpoint.Checkpoint` that its values are of; None if they are
        random. Then its classes mean nothing, and int8 is taken however few agree.
      announce: Called with a line about what is going on.

    Returns:
      Another `experiment.Prepared`.
    """
    announce(f"folding {plain.name}, {options.precision}, {options.engine}")
    calibration, found = None, {}
    if options.precision == INT8:
        calibration, what = _calibration(plain, options, checkpoint)
        found["calibrated_with"] = what
        announce(f"calibrating int8 with {len(calibration)} images of {what}, which may take "
                 "minutes")
    started = time.perf_counter()
    model = InferenceModel.from_session(
        plain.run.session, options.precision, image_size=plain.image_size, engine=options.engine,
        calibration=calibration, accept=options.accept or checkpoint is None,
        name=checkpoint.path if checkpoint else plain.name)
    build_s = time.perf_counter() - started
    images, = plain.run.feed_dict.values()
    name = plain.name + records.OPTIMIZED
    in_int8 = f" {INT8}" * bool(model.quantised)
    run = timing.Run(_ModelSession(model), _IMAGES, f"{name}{in_int8} Forward", {_IMAGES: images},
                     options.batch_size)
    return dataclasses.replace(
        plain, name=name, run=run, build_s=build_s, engine=model.engine, precision=model.precision,
        quantised=model.quantised and {**model.quantised, **found})


def _calibration(plain, options, checkpoint):
    """Returns images to calibrate int8 with, prepared, and what they are of."""
    if options.calibrate is None:
        shape = [LEAST_IMAGES, plain.image_size, plain.image_size, 3]
        return np.random.default_rng(options.seed).random(shape, np.float32), "random numbers"
    paths = chosen(finding.find_images(options.calibrate), options.calibrate)
    preprocessing = settings_of(checkpoint).preprocessing if checkpoint else Preprocessing(
        models.find_model(plain.name).preprocessing)
    return (reading.load_images(paths, plain.image_size, preprocessing),
            f"{options.calibrate}, {preprocessing.described()}")
