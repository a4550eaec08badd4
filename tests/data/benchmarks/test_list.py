"""``medjax list datasets``: the facts of every card, where they can be found."""

import pytest

from medjax.cli.main import run
from medjax.data.benchmarks import CARDS


def printed(capsys, *arguments):
    assert run(["list", *arguments]) == 0
    return capsys.readouterr().out


def test_the_table_has_a_row_of_facts_for_each(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    lines = printed(capsys, "datasets").splitlines()
    for card in CARDS.values():
        (row,) = [n for n, line in enumerate(lines) if line.split()[:1] == [card.name]]
        for fact in (card.modality, card.task, card.subjects, card.size):
            assert fact in lines[row]
        for fact in (card.licence, card.page.split()[0]):
            assert fact in lines[row + 1]
    assert "camelyon16" not in printed(capsys, "models")


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_printed_whole(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "400")
    text, card = printed(capsys, "datasets", name), CARDS[name]
    for fact in (card.title, card.about, card.terms, card.splits, card.citation, card.page):
        assert fact in text
    assert text.endswith(f"layout\n{card.layout}\n")


def test_wrong_names(capsys):
    assert run(["list", "datasets", "kits20"]) == 2
    assert "data set: expected one of kits23, kits19" in capsys.readouterr().err
    assert run(["list", "models", "unet"]) == 2
    assert "NAME: expected a name after 'datasets' only" in capsys.readouterr().err
