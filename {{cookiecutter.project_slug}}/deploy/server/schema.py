"""_("What the migrations of a release change in the database that the release which serves cannot live with.")"""

import json

from .commands import Failed

GONE = _py("Warning: {name} goes from the database, and {release}, which serves, still uses it: until it is replaced, and after a way back, it fails there. Remove it in a later release than the code that uses it.")
REQUIRED = _py("Warning: {name} must have a value, and {release}, which serves, may give it none: until it is replaced, and after a way back, it cannot save there. Give the field db_default, or null=True.")
#: For manage.py shell: the tables that the code knows, and their columns
KNOWN = """
import json
from django.apps import apps
models = apps.get_models(include_auto_created=True)
options = [model._meta for model in models]
print(json.dumps([(each.db_table, field.column)
    for each in options for field in each.local_concrete_fields]))
"""


def misfits(before, after, old):
    """_("Between the columns as Database.columns() gives them: in sentences, what the release that serves will fail at: it goes on until the new one serves, and comes back by --rollback.")"""
    if after == before or not before:
        return []
    try:
        said = old.manage("shell", "--no-imports", "-c", KNOWN)
    except Failed:
        #: It cannot even be loaded: there is nothing that it could fail at.
        return []
    known = set(map(tuple, json.loads(said.splitlines()[-1])))
    tables = {table for table, _ in known}
    left = {table for table, _ in after}
    gone = (known & before.keys()) - after.keys()
    found = {GONE: {".".join(each) if each[0] in left else each[0] for each in gone}}
    found[REQUIRED] = {
        ".".join(each)
        for each in after
        if each[0] in tables and demands(before.get(each), *after[each])
    }
    return [
        text.format(name=name, release=old.name)
        for text, names in found.items()
        for name in sorted(names)
    ]


def demands(before, must, has_default):
    """_("The old code does not name a new column, and may leave one empty that could be.")"""
    if before:
        return must and not before[0]
    return must and not has_default
