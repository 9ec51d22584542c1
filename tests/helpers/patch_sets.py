"""A small patch detector in a folder as ``ganlab detect`` leaves it, and the sets it was trained on."""

import numpy as np
from forensics_images import natural, striped
from PIL import Image

from ganlab.data.imageset import array_image_set
from ganlab.forensics import SavedDetector, make_detector, save_detector, save_splits, split_by_identity
from ganlab.forensics.protocol.near import exact_hashes
from ganlab.images import to_float
from ganlab.util.atomic import write_json

ALLOW = ("jpeg_grid", "resampling")
"""What 1/f noise looks like to the guards."""


def png_folder(folder, images):
    """Write images as PNG files; the folder's name as text."""
    folder.mkdir()
    for place, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{place:03d}.png")
    return str(folder)


def stripes(count, side, seed):
    """Reals and fakes of other photographs with faint stripes, as image sets."""
    images = natural(2 * count, side, seed=seed)
    marked = striped(images[count:], 15)
    return array_image_set(images[:count], "real"), array_image_set(marked, "stripes")


def keep_detector(folder, real, fake, name="patch", **options):
    """Train on the training parts of both sets and save detector and split; the detector's file."""
    sets = {one.name: one.read(np.arange(len(one))) for one in (real, fake)}
    splits = {key: split_by_identity(exact_hashes(images)) for key, images in sets.items()}
    training = [to_float(images[splits[key].train]).numpy() for key, images in sets.items()]
    labels = np.repeat([0, 1], [len(part) for part in training])
    detector = make_detector(name, **options).fit(np.concatenate(training), labels)
    save_splits(folder / "splits_0.json", splits)
    pixels = {one.name: one.fingerprint() for one in (real, fake)}
    write_json(folder / "plan.json", {"identity": {"sets": pixels}})
    file = folder / "detectors" / "0.safetensors"
    record = {"trained_on": [fake.name], "system": f"pixels+{name}"}
    save_detector(file, SavedDetector(detector, "pixels", {}, real.shape, ("real", "fake"), record))
    return file
