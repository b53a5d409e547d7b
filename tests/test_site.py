"""A generated site, end to end: real supervisord, real gunicorn, real requests."""


def test_it_answers(site):
    site.start()
    assert site.get("/").status == 200
