"""_("Tests of the pages: venv/bin/python manage.py test")"""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import SimpleTestCase, TestCase, override_settings
from django.urls import reverse
from django.utils.html import escape

#: Tests need no collected static files.
plain_static_files = override_settings(
    STORAGES={
        **settings.STORAGES,
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        },
    }
)


@plain_static_files
class HomePageTests(SimpleTestCase):
    def test_shows_the_name_of_the_site(self):
        response = self.client.get(reverse("home"), secure=True)
        self.assertContains(response, escape(settings.SITE_NAME))

    def test_forbids_what_it_does_not_need(self):
        headers = self.client.get(reverse("home"), secure=True).headers
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
        response = self.client.get("/no-such-page", secure=True)
        self.assertTemplateUsed(response, "404.html")
        self.assertEqual(response.status_code, 404)


class HealthCheckTests(TestCase):
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


@plain_static_files
class AdminTests(TestCase):
    def test_login(self):
        get_user_model().objects.create_superuser("ada", password="lovelace-1843")
        form = {"username": "ada", "password": "lovelace-1843", "next": "/admin/"}
        response = self.client.post("/admin/login/", form, secure=True, follow=True)
        self.assertContains(response, "ada")

    def test_a_failed_login_is_logged_in_one_line(self):
        form = {"username": "ada\nand more", "password": "unknown"}
        with self.assertLogs("pages.apps", "WARNING") as logs:
            self.client.post(
                "/admin/login/", form, secure=True, REMOTE_ADDR="192.0.2.1"
            )
        [line] = logs.output
        self.assertRegex(line, r'192\.0\.2\.1 .*"ada\\nand more"$')
