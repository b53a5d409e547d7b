"""_("Tests of the pages: venv/bin/python manage.py test")"""

#% if cookiecutter.tasks == "celery"
from celery import current_app as app
#% endif
from django.conf import settings
#% if cookiecutter.tasks == "celery"
from django.core import mail
#% endif
from django.db import connection
from django.urls import reverse
from django.utils.html import escape

from .testing import PageTestCase


class HomePageTests(PageTestCase):
    def test_shows_the_name_of_the_site(self):
        response = self.client.get(reverse("home"))
        self.assertContains(response, escape(settings.SITE_NAME))

    def test_forbids_what_it_does_not_need(self):
        headers = self.client.get(reverse("home")).headers
        self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
        self.assertIn("camera=()", headers["Permissions-Policy"])
        self.assertEqual(headers["X-Frame-Options"], "DENY")

    def test_sends_visitors_to_https(self):
        with self.settings(SECURE_SSL_REDIRECT=True):
            response = self.client.get(reverse("home"))
        self.assertRedirects(
            response, "https://testserver/", 301, fetch_redirect_response=False
        )

    def test_unknown_page(self):
        response = self.client.get("/no-such-page")
        self.assertTemplateUsed(response, "404.html")
        self.assertEqual(response.status_code, 404)


class HealthCheckTests(PageTestCase):
    def test_answers(self):
        response = self.client.get(reverse("healthz"))
        self.assertContains(response, f"ok {settings.RELEASE}\n")
        response = self.client.get(reverse("healthz"), REMOTE_ADDR="192.0.2.1")
        self.assertEqual(response.content, b"ok\n")

    def test_says_no_more_than_unavailable_without_database(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_content_type RENAME TO moved")
        with self.assertLogs("pages.views", "ERROR"):
            response = self.client.get(reverse("healthz"))
        self.assertEqual(
            (response.status_code, response.content), (503, b"unavailable\n")
        )
#% if cookiecutter.tasks == "celery"


LOCMEM = "django.core.mail.backends.locmem.EmailBackend"


class MailTests(PageTestCase):
    def test_a_mail_goes_through_a_task(self):
        app.conf.task_always_eager = True
        self.addCleanup(app.conf.update, task_always_eager=False)
        through = "{{ cookiecutter.project_slug }}.queued_mails.EmailBackend"
        with (
            self.settings(EMAIL_BACKEND=through, DIRECT_EMAIL_BACKEND=LOCMEM),
            self.captureOnCommitCallbacks(execute=True),
        ):
            mail.send_mail("Subject", "Text", None, ["ada@example.com"])
        [message] = mail.outbox
        self.assertEqual(message.recipients(), ["ada@example.com"])
        self.assertIn(b"Subject: Subject\n", message.as_bytes())
#% endif
