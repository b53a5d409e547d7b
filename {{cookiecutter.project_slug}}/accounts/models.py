"""_("Who may log in.")"""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """_("Django's own user, to which fields can be added: once there are tables, it is late to begin with one.")"""
