from benchmarks.methods import command, costs_csv
from pipeline.report.methods import read_costs


def test_methods_take_turns_and_the_report_reads_their_costs(measured, tmp_path):
    printed, figures = measured(command, "--row=abl1", "--row=ppr_fcn", "--runs=1")
    rows = figures["rows"]
    assert list(rows) == ["abl1", "ppr_fcn", "ours"] and printed.count("ms/image") == 3
    assert rows["ours"]["ratio"] == 1 and rows["ppr_fcn"]["images_per_second"] > 0
    assert rows["abl1"]["trained"] == 0 and "abl1" in printed and "not trained" in printed
    assert 1e6 < rows["ours"]["trained"] <= rows["ours"]["parameters"] < 3e6
    path = tmp_path / "costs.csv"
    path.write_text(costs_csv(rows))
    assert read_costs(path)["ours"]["trained"] == rows["ours"]["trained"]
