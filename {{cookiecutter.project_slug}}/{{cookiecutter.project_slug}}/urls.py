"""_("Which address shows which page.")"""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("media/<path:path>", views.upload, name="upload"),
]
if "debug_toolbar" in settings.INSTALLED_APPS:
    urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
handler500 = "pages.views.server_error"
