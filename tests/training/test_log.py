from pipeline.training.log import TrainingLog

TERMS = ("global", "pair", "relatedness")
LOSSES = {"loss": 3.25, "global": 1.0, "pair": 2.0, "relatedness": 0.123456789}


def grown(path, count):
    log = TrainingLog.read(path, TERMS)
    log.go_back(0)
    for iteration in range(count):
        log.append(iteration, iteration / 4, LOSSES)
    log.flush()
    return log


def test_rows_are_csv(tmp_path):
    assert grown(tmp_path / "log.csv", 2).text() == (
        "iteration,epoch,loss,global,pair,relatedness\n"
        "0,0.0000,3.25,1,2,0.123457\n"
        "1,0.2500,3.25,1,2,0.123457\n"
    )  # fmt: skip


def test_a_resumed_log_drops_what_came_after_the_resume_point(tmp_path):
    path = tmp_path / "log.csv"
    whole = grown(path, 6).rows
    for start in range(7):
        resumed = TrainingLog.read(path, TERMS)
        resumed.go_back(start)
        assert resumed.rows == whole[:start]
    resumed = TrainingLog.read(path, TERMS)
    resumed.go_back(5)
    resumed.append(5, 1.25, LOSSES)
    assert resumed.rows == whole
    resumed.flush()
    assert path.read_text() == resumed.text()


def test_no_file_is_an_empty_log(tmp_path):
    assert TrainingLog.read(tmp_path / "none.csv", TERMS).rows == []
