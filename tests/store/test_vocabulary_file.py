import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.files import write_json
from pipeline.store.vocabulary_file import read_vocabulary, write_vocabulary


def test_round_trip_and_damage(tmp_path, vocabulary):
    path = tmp_path / "v.json"
    with pytest.raises(ArtifactError, match='does not exist; run "dvc repro prepare"'):
        read_vocabulary(path)
    write_vocabulary(path, vocabulary)
    assert read_vocabulary(path) == vocabulary
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match="not JSON"):
        read_vocabulary(path)
    write_json(path, {**vocabulary.to_json(), "verbs": ["ride"]})
    with pytest.raises(ArtifactError, match=r'v\.json: vocabulary: HOI class "hold bicycle" names an unknown verb'):
        read_vocabulary(path)
