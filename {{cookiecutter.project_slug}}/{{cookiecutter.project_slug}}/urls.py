"""_("Which address shows which page.")"""

from django.contrib import admin
from django.urls import path

from pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("media/<path:path>", views.upload, name="upload"),
]
handler500 = "pages.views.server_error"
