"""What a database answers to a query."""

import os

import pandas as pd

from tfts.data.sources.files import read_file
from tfts.errors import DataError, MissingPackageError, SettingError


def read_sql(path, *, query, time=None, time_format=None, series=None, na_values=None):
    """The rows of an SQL query, through SQLAlchemy.

    Args:
        path: URL of the database as SQLAlchemy takes it, such as `"sqlite:///shop.db"` or
            `"postgresql+psycopg://..."`. Variables of the environment are filled in, so that no password need
            stand in a file of settings: `"$SHOP_URL"`.
        query: Text of the query.
        time: As in `read_table`.
        time_format: As in `read_table`.
        series: As in `read_table`.
        na_values: As in `read_table`.

    Returns:
        `pandas.DataFrame`.

    Raises:
        ImportError: If SQLAlchemy or the driver of the database is not installed.
        ValueError: If the database refuses the query; the URL is not in the message, for it may hold a
            password.

    Example:

    >>> import importlib.util, sqlite3
    >>> with sqlite3.connect("shop.db") as shop:
    ...     _ = shop.execute("create table sales (store text, day text, sold real)")
    ...     _ = shop.execute("insert into sales values ('007', '2024-01-31', 3.5)")
    >>> shop.close()
    >>> query = "select store, day, sold from sales"
    >>> if importlib.util.find_spec("sqlalchemy"):
    ...     assert read_sql("sqlite:///shop.db", query=query, series="store")["store"].tolist() == ["007"]
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise MissingPackageError("This needs SQLAlchemy: pip install tfts[sql]") from error
    url = os.path.expandvars(str(path))
    if not isinstance(query, str) or not query.strip():
        raise SettingError(f"`query` must be the text of a query. Received: {query!r}.")
    try:
        engine = sqlalchemy.create_engine(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise SettingError(
            "`path` must be the URL of a database, such as sqlite:///shop.db, or a variable of the environment that "
            "holds it, such as $SHOP_URL, which must be set."
        ) from error
    except ImportError as error:
        raise MissingPackageError(f"The driver of this database is not installed: {error}") from error
    try:
        with engine.connect() as connection:
            frame = pd.read_sql_query(sqlalchemy.text(query), connection)
    except (sqlalchemy.exc.SQLAlchemyError, pd.errors.DatabaseError) as error:
        cause = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
        said = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise DataError(f"The database did not answer the query {query!r}: {said}") from error
    finally:
        engine.dispose()
    if frame.empty:
        raise DataError(f"The query {query!r} gives no rows. Expected at least one.")
    return read_file(frame, time=time, time_format=time_format, series=series, na_values=na_values)
