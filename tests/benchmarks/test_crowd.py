from benchmarks import crowd


def test_peak_memory_and_differences_are_told(measured, peak_in_this_process, monkeypatch):
    monkeypatch.setattr(crowd, "peak_resident_bytes", peak_in_this_process)
    printed, figures = measured(crowd.command, "--smoke", "--people=3", "--people=6", "--method=ppr_fcn")
    assert "ppr_fcn, 6 people, 30 pairs: 0 MiB" in printed
    assert [image["pairs"] for image in figures["images"]] == [6, 30]
    assert figures["difference"] == 0  # so small an encoder is not cut
    assert figures["ratio"] == 1
