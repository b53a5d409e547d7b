"""_("Tests of those who log in.")"""

import re

from django.contrib.auth import get_user_model
from django.core import mail
from django.urls import reverse

from pages.testing import PageTestCase


class AdminTests(PageTestCase):
    def log_in(self, **form):
        return self.client.post(
            "/admin/login/", {**form, "next": "/admin/"}, follow=True
        )

    def test_login(self):
        get_user_model().objects.create_superuser("ada", password="lovelace-1843")
        response = self.log_in(username="ada", password="lovelace-1843")
        self.assertContains(response, "ada")

    def test_a_failed_login_is_logged_in_one_line(self):
        with self.assertLogs("accounts.apps", "WARNING") as logs:
            self.log_in(username="ada\nand more", password="unknown")
        [line] = logs.output
        self.assertRegex(line, r'127\.0\.0\.1 .*"ada\\nand more"$')

    def test_a_forgotten_password_is_replaced_by_mail(self):
        get_user_model().objects.create_superuser(
            "ada", "ada@example.com", "lovelace-1843"
        )
        address = reverse("admin_password_reset")
        self.assertContains(self.client.get("/admin/login/"), address)
        self.client.post(address, {"email": "ada@example.com"})
        [message] = mail.outbox
        [link] = re.findall(r"http://testserver(/\S+)", message.body)
        form = self.client.get(link, follow=True).redirect_chain[-1][0]
        new = {"new_password1": "babbage-1822", "new_password2": "babbage-1822"}
        response = self.client.post(form, new, follow=True)
        self.assertContains(response, reverse("admin:login"))
        response = self.log_in(username="ada", password="babbage-1822")
        self.assertContains(response, "ada")
