"""What numbers depend on beside weights, images and options."""

import os

import pytest

from slim_resnet.common import environment
from slim_resnet.errors import SlimResnetError


def test_settings_that_change_numbers_and_no_others(monkeypatch):
    monkeypatch.setattr(os, "environ", {
        "TF_ENABLE_ONEDNN_OPTS": "1", "TF_CONFIG": "{}", "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": "2", "ONEDNN_VERBOSE": "1",
        "TF_SET_ONEDNN_FPMATH_MODE": "BF16", "ONEDNN_MAX_CPU_ISA": "AVX2"})
    assert environment.made_with("2.21.0", True, "bfloat16", "optimized") == {
        "engine": "optimized", "precision": "bfloat16", "TensorFlow": "2.21.0",
        "slim_resnet": environment.slim_resnet.__version__, "oneDNN": "on",
        "kernel_settings": "ONEDNN_MAX_CPU_ISA=AVX2 TF_SET_ONEDNN_FPMATH_MODE=BF16"}
    monkeypatch.setattr(os, "environ", {})
    plain = environment.made_with("2.21.0", False)
    assert (plain["engine"], plain["precision"]) == ("plain", "float32")
    assert (plain["oneDNN"], plain["kernel_settings"]) == ("off", "none")


@pytest.mark.parametrize("flags, variable, onednn, message", [
    ([], "1", True, "has neither"), (["avx512_bf16"], "0", None, "needs oneDNN"),
    (["avx512_bf16"], "False", None, "needs oneDNN"), (["amx_bf16"], "1", False, "needs oneDNN"),
    (["avx512_bf16"], None, None, None), (["bf16"], "0", True, None)])
def test_one_rule_for_bfloat16(flags, variable, onednn, message, monkeypatch):
    monkeypatch.setattr(environment, "cpu", lambda: {"model": "Abacus", "flags": flags})
    monkeypatch.setattr(environment, "has_bfloat16", lambda flags: bool(flags))
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    if variable is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", variable)
    if message is None:
        environment.check_bfloat16(onednn)
        return
    with pytest.raises(SlimResnetError, match=f"^precision bfloat16: .*{message}"):
        environment.check_bfloat16(onednn)
