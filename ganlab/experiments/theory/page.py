"""The page of a theory folder: the table of operators, their responses, their replicas."""

from __future__ import annotations

from pathlib import Path

from ganlab.results.page import Cell, Page, Section, Table, stored_figure
from ganlab.util.reading import read_json

HEADER = ("operator", "nulls (cycles per pixel)", "at 1/4 (dB)", "image of 1/8 (dB)", "image power (%)")
LAYERS = ("generator", "stage", "layer", "kernel", "lattice (dB)", "as used (dB)", "at 1/2 (dB)")


def page(folder: Path) -> Page:
    """What the page of a results folder of ``ganlab theory`` shows.

    Raises:
        GanlabError: the folder's table or a figure cannot be read.
    """
    table = read_json(folder / "theory.json")
    rows, lines = table["operators"], []
    for row in rows:
        nulls = ", ".join(f"{null['frequency']:.3g} (×{null['order']})" for null in row["nulls"])
        numbers = (row["quarter_db"], row["eighth_rejection_db"], 100 * row["image_share"])
        lines.append([row["name"], nulls or "none", *(Cell(f"{value:.1f}", value) for value in numbers)])
    with_null = [row["name"] for row in rows if any(null["frequency"] == 0.5 for null in row["nulls"])]
    least, most = (choose(rows, key=lambda row: row["image_share"]) for choose in (min, max))
    return Page(
        "What the fixed upsamplers do to a spectrum", "theory",
        summary=[
            f"A null at Nyquist: {', '.join(with_null) or 'none'}. What a null removes, no linear layer "
            "after it brings back.",
            f"Of white noise, {least['name']} leaves the smallest share of power above 1/4, where only "
            f"images of the input lie ({100 * least['image_share']:.1f} %), {most['name']} the largest "
            f"({100 * most['image_share']:.1f} %).",
        ],
        facts={"operators": str(len(rows)), "size of the maps": f"{table['size']} pixels"},
        sections=[
            Section("Operators", [
                "Along one axis, by closed form. Frequencies are those of the output; 1/2 is Nyquist; ×3 is "
                "a triple zero. Doubling repeats what lies at f at 1/2 − f: the image of 1/8 lies at 3/8, so "
                "many dB weaker than 1/8 itself.",
            ], [Table(HEADER, lines, left=(0, 1))]),
            *([
                Section("Layers of these generators", [
                    "From their weights. Lattice: power at 1/2 along either axis or both, over "
                    "the whole, for a constant input with independent channels; as used: for the mean "
                    "activations of the generator. none: the phases have equal sums.",
                ], [Table(LAYERS, table["layers"], left=(0, 1, 2, 3))], [
                    stored_figure(
                        folder, "layer-responses", "Gain of every layer along the horizontal axis.", ink=True
                    ),
                ])
            ] if table.get("layers") else []),
            Section("Responses", figures=[
                stored_figure(
                    folder, "responses",
                    "Above: amplitude response of every operator. Below: how far what lies at f stands above "
                    "its image at 1/2 - f.",
                    ink=True,
                ),
            ]),
            Section("Several doublings", figures=[
                stored_figure(
                    folder, "replicas",
                    "Row spectrum of a 1/f² spectrum after one to three doublings, minus 1/f² itself.",
                    ink=True,
                ),
                stored_figure(
                    folder, "replica-maps",
                    "Mean power of white noise after one to four doublings, over the plane of frequencies.",
                ),
            ]),
        ],
    )  # fmt: skip
