"""A recipe as text, with the reasons for its lines as comments: what `filon init` writes."""

from filon.check.guess import Guess
from filon.check.settings import CheckSettings
from filon.check.wording import derive_line, sql_name, toml_key, toml_list, toml_text
from filon.errors import some
from filon.pages import Lang, Numbers, Words
from filon.read.settings import MISSING_WORDS


def recipe_text(guess: Guess, name: str, source: str, lang: Lang = "en", told: bool = False) -> str:
    """The recipe.

    Parameters
    ----------
    name : of the recipe
    source : what `data.source` should say
    told : whether the user named the label
    """
    words, numbers = Words(lang, "recipe"), Numbers(lang)
    lines = [f"# {words('head', source=_one_line(source), rows=numbers.integer(guess.rows))}", f"name = {toml_text(name)}", "", "[data]"]
    lines += [f"source = {toml_text(source)}", *_label(guess, words, told), *_drop(guess, words, numbers), *_remarks(guess, words), ""]
    lines += _derive(guess, words)
    least = CheckSettings().min_rows
    if guess.rows < least:
        lines += ["[check]", f"# {words('few')}", f"min_rows = {max(1, guess.rows)}", ""]
    lines += ["[split]", f"# {words('split')}", "train = 0.70", "valid = 0.15", "test = 0.15", "seed = 42", ""]
    lines += ["[search]", f"# {words('search')}", 'metric = "areaUnderPR"' if len(guess.classes) <= 2 else 'metric = "logLoss"', ""]
    lines += ["[evaluate]", f"lang = {toml_text(lang)}  # {words('evaluate')}", ""]
    return "\n".join(lines)


def _label(guess: Guess, words: Words, told: bool) -> list[str]:
    notes = []
    if guess.threshold:
        notes.append(words("label_derived", column=_one_line(guess.source_label)))
    elif not told:
        notes.append(
            words("label_guess") + (", " + words("label_others", some=_one_line(words.some(some(guess.others)))) if guess.others else "")
        )
    if len(guess.classes) > 2:
        notes.append(words("classes", some=_one_line(words.some(some(text for text, _ in guess.classes)))))
    lines = [f"label = {toml_text(guess.label)}{_note('; '.join(notes))}"]
    if guess.positive:
        lines.append(
            f"positive = {toml_text(guess.positive)}{_note(words('positive_conventional' if guess.conventional else 'positive_rarer'))}"
        )
    return lines


def _drop(guess: Guess, words: Words, numbers: Numbers) -> list[str]:
    own = [guess.source_label] if guess.source_label else []
    if not guess.suspects and not own:
        return [f'# drop = ["..."]{_note(words("drop_none"))}']
    lines = [f"drop = [  # {words('drop')}", *(f"  {toml_text(name)}," for name in own)]
    for one in guess.suspects:
        kind = "suspect_sure" if one.sure else "suspect_telling" if one.telling else "suspect"
        reason = words(kind, area=numbers.number(one.area, 3))
        lines.append(f"  {'' if one.sure else '# '}{toml_text(one.name)},{_note(reason)}")
    return [*lines, "]"]


def _remarks(guess: Guess, words: Words) -> list[str]:
    lines = []
    if guess.ids:
        lines += [f"# {words('ids', some=_one_line(words.some(some(guess.ids))))}", f"# key = {toml_list(guess.ids[:1])}"]
    if guess.dates:
        lines += [f"# {words('dates')}", f"# time = {toml_text(guess.dates[0])}"]
    if guess.codes:
        pairs = ", ".join(f'{toml_key(name)} = "category"' for name in guess.codes[:20])
        lines += [f"# {words('codes')}", f"# columns = {{ {pairs} }}"]
    if guess.missing:
        lines += [f"# {words('missing')}", f"# missing = {toml_list([*MISSING_WORDS, *guess.missing[:20]])}"]
    return lines


def _derive(guess: Guess, words: Words) -> list[str]:
    own = []
    if guess.threshold:
        own = [derive_line(guess.label, f"{sql_name(guess.source_label)} > {guess.threshold}") + _note(words("threshold"))]
    dates = [f"# {words('derive_dates')}", *(f"# {derive_line(name, sql)}" for name, sql in guess.derive[:20])] if guess.derive else []
    if not own and not dates:
        return []
    return ["[data.derive]" if own else "# [data.derive]", *own, *dates, ""]


def _note(text: str) -> str:
    return f"  # {text}" if text else ""


def _one_line(text: str) -> str:
    """A text that cannot end a comment."""
    return " ".join(text.split())
