"""`own_reader`: pairs.json lists the pairs of each image of each split; the images lie in the folder `images`."""

import numpy as np

from pipeline.core.vocabulary import Vocabulary
from pipeline.store.json_file import read_annotation_json
from pipeline.truth.annotated_images import AnnotatedImages, pairs_of_images
from pipeline.truth.datasets.base import prepare_splits, source_folder


class OwnReader:
    def __init__(self, params, *, dataset, root):
        self.dataset, self.source = dataset, source_folder(params, dataset, root)
        self.inputs = [self.source.path / "pairs.json"]
        data = read_annotation_json(self.inputs[0], ("objects", "verbs", "classes", "train", "val", "test"), dataset)
        classes = tuple((data["verbs"].index(verb), data["objects"].index(name)) for verb, name in data["classes"])
        self.vocabulary = Vocabulary(tuple(data["objects"]), tuple(data["verbs"]), classes)
        self.splits = {split: self._images(data[split]) for split in ("train", "val", "test")}
        self.num_images = sum(len(images) for images in self.splits.values())

    def _images(self, images):
        hoi_ids = np.array([hoi_id for image in images for hoi_id in image["hoi"]], np.int64)
        truth = pairs_of_images(images, "hoi", hoi_ids, self.inputs[0])  # checks the boxes of `boxes_h` and `boxes_o`
        return AnnotatedImages(self.vocabulary, tuple(image["file"] for image in images), None, truth)

    def read(self, drawn_images, advance):
        training = self.splits["train"].truth  # rare classes are those with few pairs here
        return prepare_splits(self.splits, training, self.source, self.dataset, drawn_images, advance)


READER = OwnReader
