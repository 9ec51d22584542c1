"""``ganlab zoo [NAME ...]``."""

from __future__ import annotations

from typing import Annotated

import typer


def zoo(
    names: Annotated[list[str] | None, typer.Argument(help="Show the cards of these.")] = None,
) -> None:
    """List the trained generators that come with ganlab, or print their cards.

    They differ in one thing only. Every verb that takes a run takes zoo:NAME as well.
    """
    from ganlab import zoo as room
    from ganlab.results.tables import aligned

    if names:
        print("\n\n".join("\n".join(card_lines(name)) for name in names))
        return
    cards = {name: room.card(name) for name in room.names()}
    rows = [
        (name, card["differs"], f"{card['steps']}", card["strongest_line"]) for name, card in cards.items()
    ]
    print(aligned([("NAME", "differs in", "steps", "strongest line against its reals"), *rows]))
    print(f"{len(cards)} generators; ganlab zoo NAME prints a card, and zoo:NAME works in every verb:")
    first = next(iter(cards), "NAME")
    print(f"  ganlab generate zoo:{first} --num 1000 --with-real --out fakes")


def card_lines(name: str) -> list[str]:
    """A card for people."""
    from ganlab import zoo as room

    card = room.card(name)
    spectrum, rounding = card["spectrum"], card["float16"]
    below = [fake - real for fake, real in zip(spectrum["fake_db"], spectrum["real_db"], strict=True)]
    profile = " ".join(f"{value:+.1f}" for value in below)
    losses = ", ".join(f"{step}: {g:.2f}/{d:.2f}" for step, g, d in card["curve"])
    return [
        f"{name}: {card['differs']}",
        f"  data            {card['data']}",
        f"  training        {card['steps']} steps, seed {card['seed']}, {card['parameters']:,} parameters",
        f"  losses G/D      {losses}",
        f"  strongest line  {card['strongest_line']}",
        f"  ring averages   {profile} dB against the reals, from 0 to 1/2",
        f"  float16         at most {rounding['levels']} of 255 levels; mean deviation "
        f"{rounding['mean_db']:.2f} dB before, {rounding['mean_db_float16']:.2f} dB after",
        f"  samples         {room.FOLDER / card['samples']}",
        f"  made by         {card['command']}",
        f"  at commit       {card['commit']}",
        f"  SHA-256         {card['sha256']}",
    ]
